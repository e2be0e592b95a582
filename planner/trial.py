"""Many small choices at once, each at the queues and links that it makes itself.

As `with_own_traffic` in links.py finds them one by one, which takes some milliseconds each; what is
found here agrees with that up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .links import EQUAL, ROUNDS
from .program import Program, how_often
from .queueing import Demand, at_level, link_factor, steady_levels
from .relaxation import Relaxation
from .solver.problem import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Trial:
    """M choices, in E entries: members on one column."""

    choice: IntArray
    """int64[E], rising: of which choice."""
    column: IntArray
    """int64[E]"""
    members: FloatArray
    """float64[E]"""
    seconds: FloatArray
    """float64[E]: of a step."""
    filled: FloatArray
    """float64[M]: of the limit that is filled the most, deadlines included."""
    settled: BoolArray
    """bool[M]: whether queues and links have been found."""

    def sums(self, of: FloatArray) -> FloatArray:
        """float64[M], from float64[E]."""
        return _sums(self.choice, of, len(self.filled))


def try_choices(program: Program, counts: IntArray) -> Trial:
    """Of int64[M, N] members on each column."""
    entries = _Entries(program, counts)
    column = entries.column
    use = np.repeat(program.link_use[:, None], len(counts), axis=1)
    own = program.own_use[:, column]
    towards, settled = Relaxation(), np.zeros(0, dtype=bool)
    for _ in range(ROUNDS):
        often = how_often(entries.seconds(use, own))
        found = entries.use(often)
        settled = np.abs(found - use).max(axis=(0, 2)) <= EQUAL
        use, own = towards(use, found), program.traffic[:, column] * often
        if settled.all():
            break
    seconds = entries.seconds(use, own)
    filled = entries.filled(seconds)
    return Trial(entries.choice, column, entries.members, seconds, filled, settled)


class _Entries:
    def __init__(self, program: Program, counts: IntArray) -> None:
        self.program, self.choices = program, len(counts)
        self.choice, self.column = np.nonzero(counts)
        self.members = counts[self.choice, self.column].astype(float)
        self._on = [np.flatnonzero(mine[self.column]) for mine in program.on]

    def seconds(self, use: FloatArray, own: FloatArray) -> FloatArray:
        """float64[E], where float64[2, M, K] of the links are used, by a member float64[2, E]."""
        program = self.program
        found = np.zeros(len(self.column))
        for k, here in enumerate(self._on):
            column, choice = self.column[here], self.choice[here]
            elsewhere = program.apart[column]
            for way, (alone, share) in enumerate(
                ((program.up, program.up_share), (program.down, program.down_share))
            ):
                others = np.clip(use[way, choice, k] - own[way, here], 0.0, None)
                elsewhere = elsewhere + alone[column] * link_factor(share[column], others)
            asked = Demand(
                elsewhere,
                program.service[column],
                program.lengths[program.which[column]],
                np.arange(len(column)),
                program.visits[column],
            )
            members = self.members[here] / program.servers.count[k]
            workers = int(program.servers.accelerators[k])
            level = steady_levels(asked, members, choice, self.choices, workers)
            found[here] = at_level(asked, level[choice], workers).seconds
        return found

    def use(self, often: FloatArray) -> FloatArray:
        """float64[2, M, K] of the links, where members step so often."""
        traffic = self.program.traffic[:, self.column]
        return np.stack([self._of_servers(asked * often) for asked in traffic])

    def filled(self, seconds: FloatArray) -> FloatArray:
        """float64[M]"""
        program, often = self.program, how_often(seconds)
        policy, servers = program.policy, program.servers
        busy = self._of_servers(program.service[self.column] * often) / servers.accelerators
        shares = [busy / policy.server_utilisation]
        shares += list(self.use(often) / policy.server_utilisation)
        for weights, limit in zip(program.static.weights, program.static.limits, strict=True):
            loads = _sums(self.choice, weights[self.column] * self.members, self.choices)[:, None]
            most = np.where(loads > limit, np.inf, 0.0)
            shares.append(np.divide(loads, limit, out=most, where=limit > 0))
        found = np.hstack(shares).max(axis=1)
        if policy.step_deadline_seconds is not None:
            np.maximum.at(found, self.choice, seconds / policy.step_deadline_seconds)
        return found

    def _of_servers(self, asked: FloatArray) -> FloatArray:
        """float64[M, K]: a machine's part of what entries ask for, a member float64[E]."""
        total = np.zeros((self.choices, len(self._on)))
        for k, here in enumerate(self._on):
            asked_here = asked[here] * self.members[here] / self.program.servers.count[k]
            total[:, k] = _sums(self.choice[here], asked_here, self.choices)
        return total


def _sums(index: IntArray, of: FloatArray, size: int) -> FloatArray:
    """float64[size]: the sum of the numbers with each index."""
    return np.asarray(np.bincount(index, of, size), dtype=float)
