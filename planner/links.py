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


def settle_links(
    program: Program, find: Callable[[Program, bool], IntArray | None]
) -> Settled | None:
    """A choice at its own traffic, or about that; None where there is none.

    `find(program, thorough)` gives a choice at a program's traffic; None where it has found none,
    or, if asked to be thorough, where there is none. The fuller the links, the more choices there
    are: with links as full as the policy allows, none means that there is none. In between, some
    are tried that are ever emptier.
    """
    best: Settled | None = None
    at = program
    for _ in range(TRIES):
        x = find(at, False)
        if x is None:
            break
        own = with_own_traffic(at, x)
        if not holds(own, x, settle(own, x)):
            break
        best = Settled(x, own)
        if _same_times(at, own):
            return best
        at = own
    if best is not None:
        return best
    at = program.with_full_links()
    for _ in range(TRIES):
        x = find(at, True)
        if x is None:
            return None
        own = with_own_traffic(at, x)
        if holds(own, x, settle(own, x)):
            return Settled(x, own)
        at = own.with_use((at.link_use + own.link_use) / 2)
    return None


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
