"""FedAvg, whose last steps each client takes alone: fine-tuning within the same number of steps."""

from __future__ import annotations

from .algorithm import WHOLE, Algorithm, Options


def fedavg_ft(options: Options) -> Algorithm:
    share = 1 - options.fine_tune_share
    return Algorithm(where="device", averaged=WHOLE, averaged_share=share)
