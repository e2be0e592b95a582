"""FedPer (Arivazhagan et al., arXiv 1912.00818): the body averaged each round, personal heads."""

from __future__ import annotations

from .algorithm import BODY, Algorithm, Options


def fedper(options: Options) -> Algorithm:
    return Algorithm(where="device", averaged=BODY)
