"""FlexP-SFL: each client trains to its own depth, and nobody waits (docs/algorithm.md)."""

from __future__ import annotations

from .algorithm import Algorithm, Options


def flexp_sfl(options: Options) -> Algorithm:
    return Algorithm(where="planned", middle=options.server_side)
