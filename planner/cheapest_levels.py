"""The levels at which a program is cheapest, where a search for choices begins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .program import C5_QUEUE, Program
from .queues import DUAL_TOLERANCE, kept, settle
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import FloatArray, IntArray, Problem

SAMPLED_GROUPS = 2000
STEP = 1.6
"""First factor between levels that are tried."""
FINE = 1.03
"""Last one."""
ROOM = 3
"""Steps above the levels that a sample makes."""
FAR = 30
"""Steps down to levels that choices can make."""


def cheapest_levels(
    program: Program, objective: int, clock: Clock, finest: float = FINE
) -> FloatArray:
    """float64[K]: about the levels at which the bound of the linear program is least, on a sample
    of the groups; rather above it, as choices lead to levels below those at which they are found.
    One kind of server after the other, by ever finer steps.

    Where waiting costs nothing, high levels seem the best: clients that wait ask little of the
    servers. There it is the bound of choices that make these levels themselves; and as all groups
    may need more room than the sample, higher levels are taken as long as they cost the same.
    """
    groups = program.static.groups
    if groups > 2 * SAMPLED_GROUPS:
        program = program.sample(np.arange(0, groups, groups // SAMPLED_GROUPS))
    most = program.most_level
    level = np.minimum(settle(program, _unpriced(program, objective)), most)
    level = np.where(level > 0, level, 1e-3 * most)
    bounds = _Bounds(program, objective, clock)
    found, at = _least(bounds, level, most, finest)
    if (at.waiting > 0).all():
        return np.minimum(found * finest, most)
    made = replace(bounds, filled=True)
    lower = _possible(made, found)
    if lower is not None and (lower < found / STEP).any():
        found, _ = _least(made, lower, most, finest)
    return _with_room(bounds, found, most)


@dataclass(frozen=True, eq=False)
class _At:
    bound: float
    """inf where no choice can have the levels."""
    waiting: FloatArray
    """float64[K]: the prices of the servers' queues. Where no choice can make the levels, those of
    having to, in the combination of rows that shows it; 1 where it is for a deadline."""
    prices: FloatArray | None


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Of the linear program at given levels; with `filled`, of choices that make these or higher
    ones."""

    program: Program
    objective: int
    clock: Clock
    filled: bool = False

    def __call__(
        self, level: FloatArray, start: FloatArray | None = None, enough: float = math.inf
    ) -> _At:
        """`start`: prices that may be about the best. A bound of `enough` is not raised further."""
        program = self.program
        problem = program.at(level, self.objective)
        queues = [problem.rows.index(r.name) for r in program.rows if r.label == C5_QUEUE]
        problem = _reached(problem, queues) if self.filled else problem
        found = kept(problem, program.in_time(level))
        if found is None:
            return _At(math.inf, np.full(len(level), float(self.filled)), start)
        lagrangian = Lagrangian(found.problem)
        dual = maximise(lagrangian, DUAL_TOLERANCE, self.clock, start=start, enough=enough)
        prices = dual.best.multipliers
        if dual.infeasible:
            return _At(math.inf, self.filled * prices[-len(queues) :], start)
        return _At(dual.best.bound, prices[queues], prices)


def _reached(problem: Problem, rows: list[int]) -> Problem:
    """With rows that have to be full."""
    return replace(
        problem,
        weights=np.vstack([problem.weights, -problem.weights[rows]]),
        caps=np.append(problem.caps, -problem.caps[rows]),
        rows=(*problem.rows, *(f"{problem.rows[row]}_reached" for row in rows)),
    )


def _least(
    bounds: _Bounds, level: FloatArray, most: FloatArray, finest: float
) -> tuple[FloatArray, _At]:
    """Levels from which no step leads to a lower bound."""
    step, best = STEP, bounds(level)
    while step > finest and not bounds.clock.over():
        moved = False
        for power in _directions(len(level)):
            tried = np.minimum(level * step**power, most)
            found = bounds(tried, best.prices, best.bound)
            if found.bound < best.bound:
                level, best, moved = tried, found, True
        if not moved:
            step = math.sqrt(step)
    return level, best


def _directions(kinds: int) -> Iterator[FloatArray]:
    """float64[K]: one level down or up, or one down and another up, as clients change servers."""
    ways = np.eye(kinds)
    for way in ways:
        yield -way
        yield way
    for down, up in itertools.permutations(range(kinds), 2):
        yield ways[up] - ways[down]


def _possible(made: _Bounds, level: FloatArray) -> FloatArray | None:
    """The highest levels up to these that choices can make; None where none are found."""
    for steps in range(FAR):
        tried = level / STEP**steps
        at = made(tried)
        if at.bound < math.inf:
            return tried
        if made.clock.over() or not at.waiting.any():
            break  # or it isn't for want of those who wait: at lower levels more is asked for
    return None


def _with_room(bounds: _Bounds, level: FloatArray, most: FloatArray) -> FloatArray:
    """Higher ones, as long as the bound there stays as it is."""
    before = bounds(level)
    for k in range(len(level)):
        for _ in range(ROOM):
            higher = level.copy()
            higher[k] = min(higher[k] * STEP, most[k])
            after = bounds(higher, before.prices).bound
            if abs(after - before.bound) > DUAL_TOLERANCE * abs(before.bound):
                break
            level = higher
    return level


def _unpriced(program: Program, objective: int) -> IntArray:
    """Everyone at the cheapest column, rows aside, with nobody waiting."""
    problem = program.at(np.zeros(len(program.servers)), objective)
    best = Lagrangian(problem)(np.zeros(len(problem.caps))).chosen
    x = np.zeros(problem.columns, dtype=np.int64)
    x[best] = problem.counts
    return x
