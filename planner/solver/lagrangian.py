"""Lower bounds and proofs from prices on the shared rows.

With prices λ >= 0 the groups no longer touch each other:

    L(λ) = Σ_g counts[g] · min_{o in g} (cost[o] + λ · weights[:, o]) − λ · caps

is at most the optimum. With the costs left out, L(λ) > 0 proves that no choice keeps the rows: one
combination of them is exceeded even where every member takes what asks least of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .problem import FloatArray, IntArray, Problem

CHUNK_COLUMNS = 1 << 15
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """L at one λ."""

    multipliers: FloatArray
    """λ, float64[R], in units of cost per unit of the row."""
    bound: float
    """L(λ) less all that rounding may have added: a proven bound."""
    chosen: IntArray
    """int64[G]: a column of least priced cost for each group."""
    excess: FloatArray
    """float64[R]: loads of that choice less the limits, a supergradient of L at λ."""


class Lagrangian:
    """L of one problem. With `priced=False` costs count as 0. With `times`, float64[N], each call
    may set a deadline: columns that take longer are out."""

    def __init__(
        self, problem: Problem, priced: bool = True, times: FloatArray | None = None
    ) -> None:
        self.problem, self.priced, self.times = problem, priced, times
        self._sizes = np.diff(problem.offsets)
        self._chunks = list(_chunks(problem.offsets))
        self._largest_cost = float(np.abs(problem.cost).max()) if priced else 0.0
        self._largest = np.array([np.abs(row).max() for row in problem.weights])
        widest = max(stop - start for _, _, start, stop in self._chunks)
        self._values, self._scratch = np.empty(widest), np.empty(widest)

    def __call__(self, multipliers: FloatArray, deadline: float = math.inf) -> Evaluation:
        """Every group needs a column within the deadline."""
        problem = self.problem
        low, chosen = np.empty(problem.groups), np.empty(problem.groups, dtype=np.int64)
        for first, last, start, stop in self._chunks:
            values = self._priced(multipliers, start, stop, deadline)
            begins = problem.offsets[first:last] - start
            low[first:last] = np.minimum.reduceat(values, begins)
            hits = np.flatnonzero(values == np.repeat(low[first:last], self._sizes[first:last]))
            if len(hits) > last - first:
                hits = hits[np.searchsorted(hits, begins)]
            chosen[first:last] = hits + start
        loads = [float(row[chosen] @ problem.counts) for row in problem.weights]
        excess = np.array(loads) - problem.limits
        return Evaluation(multipliers, self._total(multipliers, low), chosen, excess)

    def least(self, multipliers: FloatArray, deadline: float = math.inf) -> FloatArray:
        """float64[G]: the least priced cost of a member of each group."""
        low = np.empty(self.problem.groups)
        for first, last, start, stop in self._chunks:
            values = self._priced(multipliers, start, stop, deadline)
            begins = self.problem.offsets[first:last] - start
            np.minimum.reduceat(values, begins, out=low[first:last])
        return low

    def bound(self, multipliers: FloatArray, deadline: float = math.inf) -> float:
        """L alone, as `Evaluation.bound`."""
        return self._total(multipliers, self.least(multipliers, deadline))

    def reduced_costs(self, evaluation: Evaluation, deadline: float = math.inf) -> FloatArray:
        """float64[N]: by how much L rises for each member that is made to take the column."""
        reduced = np.empty(self.problem.columns)
        for first, last, start, stop in self._chunks:
            values = self._priced(evaluation.multipliers, start, stop, deadline)
            low = values[evaluation.chosen[first:last] - start]
            np.subtract(values, np.repeat(low, self._sizes[first:last]), out=reduced[start:stop])
        return reduced

    def _priced(
        self, multipliers: FloatArray, start: int, stop: int, deadline: float
    ) -> FloatArray:
        """cost + λ · weights of some columns; valid until the next call."""
        values, scratch = self._values[: stop - start], self._scratch[: stop - start]
        values[:] = self.problem.cost[start:stop] if self.priced else 0.0
        for price, row in zip(multipliers, self.problem.weights, strict=True):
            if price:
                np.multiply(row[start:stop], price, out=scratch)
                values += scratch
        if self.times is not None and deadline < math.inf:
            values[self.times[start:stop] > deadline] = np.inf
        return values

    def _total(self, multipliers: FloatArray, low: FloatArray) -> float:
        paid = math.fsum((multipliers * self.problem.limits).tolist())
        total = math.fsum((low * self.problem.counts).tolist()) - paid
        return total - self._rounding(multipliers, low)

    def _rounding(self, multipliers: FloatArray, low: FloatArray) -> float:
        """More than the error of L: R + 1 products and sums a column, then exact sums (fsum). At
        no prices a column is worth its cost, without any error.

        Each operation errs by at most ε/2 of its result (Higham, Accuracy and Stability of
        Numerical Algorithms, section 3.1).
        """
        problem = self.problem
        if not multipliers.any():
            return 2 * EPSILON * float(np.abs(low) @ problem.counts)
        column = self._largest_cost + float((multipliers * self._largest).sum())
        paid = float((multipliers * np.abs(problem.limits)).sum())
        return 2 * (len(multipliers) + 4) * EPSILON * (problem.members * column + paid)


def _chunks(offsets: IntArray) -> Iterator[tuple[int, int, int, int]]:
    """(first group, last group, first column, last column) of runs that fit the cache."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + CHUNK_COLUMNS, side="right")) - 1
        last = max(last, first + 1)
        yield first, last, int(offsets[first]), int(offsets[last])
        first = last
