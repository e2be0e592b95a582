"""The gap closed by an integer program over the few columns that can still matter.

Let L be a proven bound with reduced costs r >= 0, and U the cost of a solution. A solution with t
members on column o costs at least L + t · r[o]. So a better one than U has no member on a column
with r[o] > U − L, and at most (U − L) / r[o] of them on any other. If the core leaves out columns
with r[o] >= θ, a solution outside of it costs at least L + θ, and the optimum is at least
min(bound of the core, L + θ).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .clock import Clock
from .lagrangian import Evaluation
from .problem import FloatArray, IntArray, Problem
from .rounding import least

PROVEN_GAP = 1e-4
"""A solution within this of its bound counts as optimal."""
POLISH_EFFORT = 20_000
"""Branching nodes times columns that a core may take once the solution counts as optimal: it is
bettered as far as that is cheap, by a measure that is the same on every machine."""
FIRST_EXTRA = 150
"""Columns of the first core beyond one for each group."""
GROWTH = 6
ROUNDING = 1e-14
"""Of the largest total that could occur."""


@dataclass(eq=False)
class Search:
    """What is known so far; it only ever gets better."""

    problem: Problem
    bound: float
    counts: IntArray | None = None
    value: float = math.inf
    on_change: Callable[[Search], None] | None = None
    rounding: float = field(init=False)

    def __post_init__(self) -> None:
        self.rounding = ROUNDING * self.problem.members * float(np.abs(self.problem.cost).max())

    def offer(self, counts: IntArray | None) -> None:
        """A solution, taken if it keeps all rows and costs less."""
        if counts is None or not self.problem.feasible(counts):
            return
        value = self.problem.value(counts)
        if value < self.value:
            self.counts, self.value = counts, value
            self.raise_bound(self.bound)
            self._changed()

    def raise_bound(self, bound: float) -> None:
        """A bound that rounding alone keeps apart from the value is the value."""
        if bound >= self.value - self.rounding:
            bound = self.value
        if bound > self.bound:
            self.bound = bound
            self._changed()

    def closed(self, gap: float) -> bool:
        return self.counts is not None and self.value - self.bound <= gap * abs(self.value)

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change(self)


def close_gap(
    search: Search, at: Evaluation, reduced: FloatArray, gap: float, clock: Clock, effort: float
) -> bool | None:
    """Solve growing cores until the gap is closed or the time is over.

    `at` is the evaluation with the best bound, `reduced` are its reduced costs. Returns whether a
    solution exists: True, False (HiGHS proved over all columns that none does) or None (not known).
    """
    problem = search.problem
    extra = FIRST_EXTRA
    while not search.closed(gap) and not clock.over():
        room = max(search.value - at.bound, 0.0)
        columns = least(reduced, problem.groups + extra)
        complete = len(columns) == problem.columns
        outside = math.inf if complete else at.bound + float(reduced[columns].max())
        if outside >= search.value:
            outside = math.inf
            columns = np.flatnonzero(reduced <= room)
        wanted = np.zeros(problem.columns, dtype=bool)
        wanted[columns] = wanted[at.chosen] = True
        if search.counts is not None:
            wanted |= search.counts > 0
        columns = np.flatnonzero(wanted)
        complete |= len(columns) == problem.columns
        polishing = search.closed(PROVEN_GAP)
        core = Core(search, columns, reduced, room)
        goal = gap if polishing else max(gap, PROVEN_GAP / 2)
        limit = min(effort, POLISH_EFFORT if polishing else math.inf)
        found, bound, ended = core.solve(goal, clock, _nodes(limit, columns))
        search.offer(found)
        if bound is not None:
            search.raise_bound(min(bound, outside))
        if bound == math.inf and complete and search.counts is None:
            return False
        if limit < math.inf and (not ended or outside == math.inf):
            break
        extra *= GROWTH
    return _exists(search)


def _nodes(effort: float, columns: IntArray) -> int | None:
    return None if effort == math.inf else 1 + int(effort / len(columns))


def _exists(search: Search) -> bool | None:
    return None if search.counts is None else True


class Core:
    """The program of some columns: groups with one column are settled, rows are shifted by each
    group's lightest column and scaled."""

    def __init__(self, search: Search, columns: IntArray, reduced: FloatArray, room: float) -> None:
        problem = search.problem
        offsets = np.searchsorted(columns, problem.offsets)
        sizes = np.diff(offsets)
        open_groups = np.flatnonzero(sizes > 1)
        settled = columns[offsets[:-1][sizes == 1]]
        self.problem, self.search = problem, search
        self.fixed = np.zeros(problem.columns, dtype=np.int64)
        self.fixed[settled] = problem.counts[sizes == 1]
        self.columns = columns[np.repeat(sizes > 1, sizes)]
        self.counts = problem.counts[open_groups]
        self.sizes = sizes[open_groups]
        self.starts = np.cumsum(self.sizes) - self.sizes
        most = np.repeat(self.counts, self.sizes)
        if math.isfinite(room):
            price = reduced[self.columns]
            most = np.where(
                (price * most > room) & problem.whole[self.columns],
                np.floor(room / np.where(price > 0, price, 1) + 1e-9),
                most,
            ).astype(np.int64)
            if search.counts is not None:
                most = np.maximum(most, search.counts[self.columns])
        self.most = most

    def solve(
        self, gap: float, clock: Clock, nodes: int | None = None, below: float = math.inf
    ) -> tuple[IntArray | None, float | None, bool]:
        """Counts of all columns, a bound on this core's optimum (inf where it has no solution,
        None where nothing is known), and whether the search ended before its limits. Solutions that
        cost `below` or more are as good as none."""
        problem = self.problem
        if len(self.columns) == 0:
            kept = problem.feasible(self.fixed)
            return (self.fixed, problem.value(self.fixed), True) if kept else (None, math.inf, True)
        from .core_model import solve_model

        cost = problem.cost[self.columns]
        cheapest = np.minimum.reduceat(cost, self.starts)
        extra_cost = cost - np.repeat(cheapest, self.sizes)
        base = problem.value(self.fixed) + math.fsum((cheapest * self.counts).tolist())
        unit = float(extra_cost.max()) or 1.0
        goal = abs(self.search.value if math.isfinite(self.search.value) else self.search.bound)
        solved = solve_model(
            self,
            extra_cost / unit,
            max(0.9 * gap * goal / unit, 1e-9),
            clock,
            nodes,
            (below - base) / unit,
        )
        if solved.bound == math.inf:
            return None, math.inf, True
        proven = base + (solved.bound - 1e-9) * unit if solved.bound > -math.inf else None
        if solved.counts is None:
            return None, proven, False
        counts = self.fixed.copy()
        counts[self.columns] = solved.counts
        return counts, proven, solved.ended


def best_below(
    problem: Problem,
    at: Evaluation,
    reduced: FloatArray,
    below: float,
    gap: float,
    clock: Clock,
    effort: float = math.inf,
) -> tuple[IntArray | None, float]:
    """About the best solution that costs less than `below`, and a bound on all of them, `below`
    itself where there is none; it ends when the two are within `gap`, in units of cost, or after an
    `effort` of branching nodes times columns.

    `at` is the evaluation behind the reduced costs. Members of a divisible group that are divided
    are rounded; a part of one may be on any column, however large its reduced cost.
    """
    matter = (reduced <= below - at.bound) | ~problem.whole
    matter[at.chosen] = True
    columns = np.flatnonzero(matter)
    core = Core(Search(problem, below), columns, reduced, below - at.bound)
    limit = _nodes(effort, columns)
    found, bound, _ = core.solve(gap / abs(below) if below else gap, clock, limit, below)
    return found, at.bound if bound is None else min(bound, below)
