"""FedAvg (McMahan et al., AISTATS 2017): the whole model on the device, averaged each round."""

from __future__ import annotations

from .algorithm import WHOLE, Algorithm, Options


def fedavg(options: Options) -> Algorithm:
    return Algorithm(where="device", averaged=WHOLE)
