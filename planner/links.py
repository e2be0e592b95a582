"""How full the servers' links are, by the clients that a choice serves.

A transfer takes the longer the fuller others keep the link, and how full they keep it depends on
how often they step. The integer program is for links that are as full as `Program.link_use` says; a
choice is sought whose own traffic is just that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .program import Program
from .queues import holds, settle
from .solver.problem import FloatArray, IntArray

SETTLED = 1e-6
"""Relative change of step times below which the links' use counts as found."""
TRIES = 10
ROUNDS = 80
EQUAL = 1e-9


@dataclass(frozen=True, eq=False)
class Settled:
    """A choice that keeps all limits, and the program at its own traffic."""

    x: IntArray
    program: Program


def settle_links(program: Program, find: Callable[[Program], IntArray | None]) -> Settled | None:
    """A choice that `find` gives at its own traffic, or about that; None where it gives none even
    with links as full as the policy allows."""
    best: Settled | None = None
    too_empty: FloatArray | None = None
    """A use at which there is no choice: with emptier links clients step more often."""
    full = program.with_full_links()
    at = program
    for _ in range(TRIES):
        x = find(at)
        if x is None:
            if at is full:
                break
            too_empty = at.link_use
            at = full if best is None else at.with_use((at.link_use + best.program.link_use) / 2)
            continue
        own = with_own_traffic(at, x)
        if holds(own, x, settle(own, x)):
            best = Settled(x, own)
            if _same_times(at, own):
                break
            at = own
        else:
            emptier = own.link_use if too_empty is None else too_empty
            at = at.with_use((at.link_use + emptier) / 2)
    return best


def with_own_traffic(program: Program, x: IntArray) -> Program:
    """With the servers' links as full as x keeps them."""
    for _ in range(ROUNDS):
        level = settle(program, x)
        use = link_use(program, x, level)
        settled = np.abs(use - program.link_use).max() <= EQUAL
        program = program.with_link_use((use + program.link_use) / 2, level)
        if settled:
            break
    return program


def link_use(program: Program, x: IntArray, level: FloatArray) -> FloatArray:
    """float64[2, K]: how full the clients keep the servers' links, up and down."""
    seconds = program.steps(level).seconds
    use = np.zeros((2, len(program.servers)))
    for k, mine in enumerate(program.on):
        used = np.flatnonzero(mine & (x > 0))
        often = x[used] / seconds[used] / program.servers.count[k]
        use[0, k] = often @ (program.up * program.up_share)[used]
        use[1, k] = often @ (program.down * program.down_share)[used]
    return use


def _same_times(one: Program, other: Program) -> bool:
    change = np.abs(one.elsewhere - other.elsewhere)
    return bool((change <= SETTLED * one.elsewhere).all())
