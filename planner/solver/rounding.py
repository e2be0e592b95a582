"""A first solution: the cheapest columns at given prices, repaired, then improved step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .clock import Clock
from .problem import FloatArray, IntArray, Problem

CANDIDATES = 8000
MAX_MOVES = 3000


@dataclass(eq=False)
class _Moves:
    """Moves of members from the main column of their group to another column of it."""

    problem: Problem
    x: IntArray
    main: IntArray
    """int64[G]: the column that members leave."""
    column: IntArray
    """int64[K]: where they may go."""
    group: IntArray
    """int64[K]: their group."""
    cost: FloatArray
    """float64[K]: what a move costs, in the measure of the caller."""
    change: FloatArray
    """float64[R, K]: what it adds to the rows, in row units."""
    room: FloatArray
    """float64[R]: limits less loads, in row units; negative where a row is exceeded."""
    measure: FloatArray

    def apply(self, k: int, members: int) -> None:
        group, column = self.group[k], self.column[k]
        source = self.main[group]
        self.x[source] -= members
        self.x[column] += members
        self.room -= members * self.change[:, k]
        if self.x[source] == 0:
            self.main[group] = column
            first, last = np.searchsorted(self.group, [group, group + 1])
            for k in range(first, last):
                self._price(k)

    def _price(self, k: int) -> None:
        source, column = self.main[self.group[k]], self.column[k]
        weights = self.problem.weights
        self.change[:, k] = (weights[:, column] - weights[:, source]) / self.problem.row_units
        self.cost[k] = self.measure[column] - self.measure[source]

    def available(self, k: int) -> int:
        return int(self.x[self.main[self.group[k]]])


def round_to_feasible(
    problem: Problem, chosen: IntArray, reduced: FloatArray, clock: Clock, improve: bool = True
) -> IntArray | None:
    """int64[N]: counts that keep all rows, close to the choice `chosen` (a column for each group);
    None where repairing it leads nowhere.

    `reduced` are the reduced costs behind the choice; columns with inf are out.
    """
    cheap = np.zeros(problem.columns, dtype=bool)
    cheap[least(reduced, problem.groups + CANDIDATES)] = True
    cheap[chosen] = False
    candidates = np.flatnonzero(cheap & np.isfinite(reduced))
    x = np.zeros(problem.columns, dtype=np.int64)
    x[chosen] = problem.counts
    moves = _moves(problem, x, chosen.copy(), candidates, reduced)
    if not _repair(moves, clock) or not problem.feasible(x):
        return None
    if not improve:
        return x
    moves = _moves(problem, x, moves.main, candidates, problem.cost)
    before = x.copy()
    _improve(moves, clock)
    return x if problem.feasible(x) else before


def least(numbers: FloatArray, count: int) -> IntArray:
    """Where the `count` least numbers are, in rising order of place; of equal ones the first."""
    if count >= len(numbers):
        return np.arange(len(numbers))
    last = np.partition(numbers, count - 1)[count - 1]
    below = np.flatnonzero(numbers < last)
    ties = np.flatnonzero(numbers == last)[: count - len(below)]
    return np.sort(np.concatenate([below, ties]))


def _moves(
    problem: Problem, x: IntArray, main: IntArray, candidates: IntArray, measure: FloatArray
) -> _Moves:
    group = problem.group_of(candidates)
    source = main[group]
    units = problem.row_units[:, None]
    change = (problem.weights[:, candidates] - problem.weights[:, source]) / units
    room = (problem.limits - problem.loads(x)) / problem.row_units
    cost = measure[candidates] - measure[source]
    return _Moves(problem, x, main, candidates, group, cost, change, room, measure)


def _repair(moves: _Moves, clock: Clock) -> bool:
    """Moves that cost least for what they take from exceeded rows, until none is exceeded."""
    for _ in range(MAX_MOVES):
        over = np.maximum(-moves.room, 0.0)
        if not over.any():
            return True
        if clock.over():
            return False
        left = np.maximum(moves.change - moves.room[:, None], 0.0).sum(axis=0)
        relief = over.sum() - left
        useful = np.flatnonzero(relief > 1e-12 * over.sum())
        if len(useful) == 0:
            return False
        price = np.maximum(moves.cost[useful], 0.0) / relief[useful]
        useful = useful[price == price.min()]
        k = int(useful[np.argmax(relief[useful])])
        moves.apply(k, _enough(moves, k))
    return False


def _enough(moves: _Moves, k: int) -> int:
    """How many members of a group move at once: until a row that was exceeded no longer is, or
    one that was kept is about to be."""
    change, room = moves.change[:, k], moves.room
    relieved = (room < 0) & (change < 0)
    needed = np.ceil(room[relieved] / change[relieved]).min(initial=np.inf)
    burdened = (room >= 0) & (change > 0)
    allowed = np.floor(room[burdened] / change[burdened]).min(initial=np.inf)
    return int(max(1, min(needed, allowed, moves.available(k))))


def _improve(moves: _Moves, clock: Clock) -> None:
    """Moves that lower the cost within the room that is left, the largest gain first."""
    for _ in range(MAX_MOVES):
        fits = (moves.change <= moves.room[:, None]).all(axis=0) & (moves.cost < 0)
        useful = np.flatnonzero(fits)
        if len(useful) == 0 or clock.over():
            return
        k = int(useful[np.argmin(moves.cost[useful])])
        change, room = moves.change[:, k], moves.room
        burdened = change > 0
        allowed = np.floor(room[burdened] / change[burdened]).min(initial=np.inf)
        moves.apply(k, int(max(1, min(allowed, moves.available(k)))))
