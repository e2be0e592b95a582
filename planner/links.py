"""How full the servers' links are, by the clients that a choice serves.

A transfer takes the longer the fuller others keep the link, and how full they keep it depends on
how often they step.
"""

from __future__ import annotations

import numpy as np

from .program import Program
from .queues import settle
from .relaxation import Relaxation
from .solver.problem import FloatArray, IntArray

ROUNDS = 80
EQUAL = 1e-9


def with_own_traffic(program: Program, x: IntArray) -> tuple[Program, FloatArray]:
    """The program with the servers' links as full as x keeps them, and the levels of x there."""
    columns = np.flatnonzero(x)
    used, members = program.only(columns), x[columns]
    towards, level = Relaxation(), None
    for _ in range(ROUNDS):
        level = settle(used, members, level)
        use = link_use(used, members, level)
        settled = np.abs(use - used.link_use).max() <= EQUAL
        used = used.with_link_use(towards(used.link_use, use), level)
        if settled:
            break
    level = settle(used, members, level)
    own = program.with_link_use(used.link_use, level)
    own.own_use[:, columns] = used.own_use
    return own, level


def link_use(program: Program, x: IntArray, level: FloatArray) -> FloatArray:
    """float64[2, K]: how full the clients keep the servers' links, up and down."""
    seconds = program.steps(level).seconds
    use = np.zeros((2, len(program.servers)))
    for k, mine in enumerate(program.on):
        used = np.flatnonzero(mine & (x > 0))
        often = x[used] / seconds[used] / program.servers.count[k]
        use[:, k] = program.traffic[:, used] @ often
    return use
