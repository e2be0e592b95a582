"""The choices of a program one by one, where prices leave few of them.

With L(λ) and the reduced costs r >= 0 behind it, a choice x costs at least L + Σ r · x. So where
that is to be within some room of L, few columns can be combined; the rows leave fewer still.
"""

from __future__ import annotations

import numpy as np

from .problem import FloatArray, IntArray, Problem

ROUNDING = 1e-12
"""Of what all members can ask of a row at the most."""


def list_choices(problem: Problem, reduced: FloatArray, room: float, most: int) -> IntArray | None:
    """int64[M, N]: all choices with Σ reduced · x <= room that keep the rows wherever the divisible
    groups are, which have no members here; None where there are more than `most`, be it of some of
    the groups alone. Every group needs a column within the room."""
    useful = np.flatnonzero((reduced <= room) | ~problem.whole)
    if len(useful) - problem.groups - problem.divisible > most:
        return None
    counts = _listed(problem.keep(useful), reduced[useful], room, most)
    if counts is None:
        return None
    full = np.zeros((len(counts), problem.columns), dtype=np.int64)
    full[:, useful] = counts
    return full


def _listed(problem: Problem, reduced: FloatArray, room: float, most: int) -> IntArray | None:
    least, largest = _range(problem)
    free = problem.limits - least.sum(axis=1) + ROUNDING * largest
    found, price = np.zeros((1, problem.columns), dtype=np.int64), np.zeros(1)
    asked = np.zeros((1, len(problem.caps)))
    for group in range(problem.groups - problem.divisible):
        first, last = problem.offsets[group : group + 2]
        ways = _ways(int(problem.counts[group]), reduced[first:last], room, most)
        if ways is None:
            return None
        more = ways @ problem.weights[:, first:last].T - least[:, group]
        dearer = ways @ reduced[first:last]
        fits = price[:, None] + dearer <= room
        fits &= (asked[:, None] + more <= free).all(axis=2)
        old, new = np.nonzero(fits)
        if len(old) > most:
            return None
        found, price, asked = found[old], price[old] + dearer[new], asked[old] + more[new]
        found[:, first:last] = ways[new]
    return found


def _range(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """What each group asks of the rows at the least, float64[R, G], and about how large what all
    of them ask may be, float64[R]."""
    weights, begins = problem.weights, problem.offsets[:-1]
    least = np.minimum.reduceat(weights, begins, axis=1) * problem.counts
    largest = np.maximum.reduceat(np.abs(weights), begins, axis=1) @ problem.counts
    return np.asarray(least, dtype=float), np.asarray(largest, dtype=float)


def _ways(members: int, reduced: FloatArray, room: float, most: int) -> IntArray | None:
    """int64[W, n]: how the members of a group may stand on its columns."""
    found, left = np.zeros((1, len(reduced)), dtype=np.int64), np.array([members])
    price, taken = np.zeros(1), np.arange(members + 1)
    for column in range(len(reduced) - 1):
        total = price[:, None] + taken * reduced[column]
        old, new = np.nonzero((taken <= left[:, None]) & (total <= room))
        if len(old) > most:
            return None
        found, left, price = found[old], left[old] - new, total[old, new]
        found[:, column] = new
    found[:, -1] = left
    return found[price + left * reduced[-1] <= room]
