"""SplitFed v1 (Thapa et al., AAAI 2022): one cut for all, a server part for each client, and all
parts averaged each round."""

from __future__ import annotations

from .algorithm import WHOLE, Algorithm, Options


def splitfed_v1(options: Options) -> Algorithm:
    return Algorithm(where="common", averaged=WHOLE)
