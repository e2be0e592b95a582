"""SplitFed v2 (Thapa et al., AAAI 2022): one cut for all, one server part that clients train in
turn, and the clients' parts averaged each round. The turn is that of arrival at the server."""

from __future__ import annotations

from .algorithm import Algorithm, Options


def splitfed_v2(options: Options) -> Algorithm:
    return Algorithm(where="common", middle="shared", averaged=frozenset({"bottom", "head"}))
