"""A first solution: the cheapest columns at given prices, repaired, then improved step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .clock import Clock
from .problem import FloatArray, IntArray, Problem

CANDIDATES = 8000
MAX_MOVES = 3000
MOST_AT_ONCE = 200
"""Moves, while the choice is far from keeping the rows."""


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

    def apply(self, moved: IntArray, members: IntArray) -> None:
        """So many members each, of different groups."""
        group, column = self.group[moved], self.column[moved]
        source = self.main[group]
        self.x[source] -= members
        self.x[column] += members
        self.room -= self.change[:, moved] @ members
        empty = self.x[source] == 0
        if empty.any():
            self.main[group[empty]] = column[empty]
            first, last = (np.searchsorted(self.group, group[empty] + up) for up in (0, 1))
            self._price(
                np.concatenate([np.arange(*ends) for ends in zip(first, last, strict=True)])
            )

    def _price(self, again: IntArray) -> None:
        source, column = self.main[self.group[again]], self.column[again]
        weights, units = self.problem.weights, self.problem.row_units[:, None]
        self.change[:, again] = (weights[:, column] - weights[:, source]) / units
        self.cost[again] = self.measure[column] - self.measure[source]

    def available(self, moved: IntArray) -> IntArray:
        return self.x[self.main[self.group[moved]]]


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
        low = least(price, MOST_AT_ONCE)
        low = low[np.lexsort((-relief[useful[low]], price[low]))]
        many = _at_once(moves, useful[low])
        if len(many) > 1:
            moves.apply(many, np.ones_like(many))
            continue
        useful = useful[price == price.min()]
        k = int(useful[np.argmax(relief[useful])])
        moves.apply(np.array([k]), np.array([_enough(moves, k)]))
    return False


def _at_once(moves: _Moves, cheapest: IntArray) -> IntArray:
    """The first of these moves, of a member of a different group each, that together leave half of
    every row's room, or of what it is exceeded by: so far none of them is worth less than alone."""
    _, first = np.unique(moves.group[cheapest], return_index=True)
    several = np.flatnonzero(moves.available(cheapest) > 1)
    end = min(several.min(initial=len(cheapest)), _first_gap(np.sort(first)))
    together = np.cumsum(moves.change[:, cheapest[:end]], axis=1)
    room = moves.room[:, None]
    little = (np.where(room < 0, -together, together) <= np.abs(room) / 2).all(axis=0)
    return cheapest[: _first_gap(np.flatnonzero(little))]


def _first_gap(rising: IntArray) -> int:
    """How many of these numbers are 0, 1, 2, ..."""
    return int((rising == np.arange(len(rising))).sum())


def _enough(moves: _Moves, k: int) -> int:
    """How many members of a group move at once: until a row that was exceeded no longer is, or
    one that was kept is about to be."""
    change, room = moves.change[:, k], moves.room
    relieved = (room < 0) & (change < 0)
    needed = np.ceil(room[relieved] / change[relieved]).min(initial=np.inf)
    burdened = (room >= 0) & (change > 0)
    allowed = np.floor(room[burdened] / change[burdened]).min(initial=np.inf)
    return int(max(1, min(needed, allowed, *moves.available(np.array([k])))))


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
        best = np.array([k])
        moves.apply(best, np.minimum(allowed, moves.available(best)).astype(np.int64))
