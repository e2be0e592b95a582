"""A solution made better by members that change columns, one alone or two of two groups at once.

Where rows are full, hardly any single change is left that both fits and gains; of two changes at
once, one makes the room that the other takes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .clock import Clock
from .problem import FloatArray, IntArray, Problem
from .rounding import least

CANDIDATES = 300
"""Columns that members may change to: those of the least reduced costs."""
MOST_ROUNDS = 100
SMALLEST = 1e-12
"""Of the value: a gain that isn't rounding."""


class _Moves(NamedTuple):
    """K changes of one member."""

    source: IntArray
    """int64[K]"""
    column: IntArray
    group: IntArray
    cost: FloatArray
    asked: FloatArray
    """float64[R, K]: what a change adds to the rows."""


def exchange(problem: Problem, x: IntArray, reduced: FloatArray, clock: Clock) -> IntArray:
    """int64[N] that keeps all rows and costs no more than x, which keeps them."""
    x = x.copy()
    near = least(reduced, CANDIDATES)
    smallest = SMALLEST * abs(problem.value(x))
    for _ in range(MOST_ROUNDS):
        moves, room = _moves(problem, x, near), problem.limits - problem.loads(x)
        best = _best(moves, room, smallest)
        if len(best) == 0 or clock.over():
            break
        x[moves.source[best]] -= 1
        x[moves.column[best]] += 1
        if not problem.feasible(x):
            x[moves.source[best]] += 1
            x[moves.column[best]] -= 1
            break
    return x


def _moves(problem: Problem, x: IntArray, near: IntArray) -> _Moves:
    """From each column that has members to each of those `near` of its group."""
    sources = np.flatnonzero(x)
    first = np.searchsorted(near, problem.offsets[:-1])
    last = np.searchsorted(near, problem.offsets[1:])
    group = problem.group_of(sources)
    sizes = (last - first)[group]
    source = np.repeat(sources, sizes)
    within = np.arange(len(source)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    column = near[np.repeat(first[group], sizes) + within]
    apart = column != source
    source, column = source[apart], column[apart]
    cost = problem.cost[column] - problem.cost[source]
    asked = problem.weights[:, column] - problem.weights[:, source]
    return _Moves(source, column, problem.group_of(column), cost, asked)


def _best(moves: _Moves, room: FloatArray, smallest: float) -> IntArray:
    """int64[1] or int64[2]: the moves that together gain the most and fit; none where none gain."""
    order = np.argsort(moves.cost, kind="stable")
    cost, asked = moves.cost[order], moves.asked[:, order]
    best, gain = np.zeros(0, dtype=np.int64), -smallest
    alone = np.flatnonzero((cost < gain) & (asked <= room[:, None]).all(axis=0))
    if len(alone):
        best, gain = order[alone[:1]], float(cost[alone[0]])
    # pairs of a move that gains and a later one, which costs less than that
    gaining = np.flatnonzero(2 * cost < gain)
    ends = np.searchsorted(cost, gain - cost[gaining])
    sizes = np.maximum(ends - gaining - 1, 0)
    one = np.repeat(gaining, sizes)
    other = np.arange(len(one)) - np.repeat(np.cumsum(sizes) - sizes - gaining - 1, sizes)
    fits = moves.group[order[one]] != moves.group[order[other]]
    one, other = one[fits], other[fits]
    for row, left in zip(asked, room.tolist(), strict=True):
        fits = row[one] + row[other] <= left
        one, other = one[fits], other[fits]
    if len(one):
        pair = int((cost[one] + cost[other]).argmin())
        best = order[[one[pair], other[pair]]]
    return best
