"""The least time that the slowest member can take, then the least total within it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .clock import Clock
from .lagrangian import Lagrangian
from .multipliers import infeasibility
from .problem import FloatArray, IntArray, Problem
from .rounding import round_to_feasible
from .solve import GOAL_GAP, Infeasible, Progress, Solution, minimise, relative_gap
from .whole_units import lower_caps

ANY_GAP = 1e9
"""Ends a search at its first solution."""


@dataclass(frozen=True, eq=False)
class Slowest:
    seconds: float
    """Of the slowest member."""
    bound: float
    """In no solution does the slowest member take less."""
    gap: float
    """(seconds - bound) / seconds."""
    solution: Solution
    """The least total cost among the solutions in which nobody takes longer than `seconds`."""


def minimise_slowest(
    problem: Problem,
    seconds_per_column: FloatArray,
    time_limit_seconds: float = 60.0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    gap: float = GOAL_GAP,
    prove: bool = True,
) -> Slowest | Infeasible:
    """The least T with a feasible choice among the columns that take at most T, by bisection over
    the times that occur; each step ends with a choice or a proof that there is none.

    `seconds_per_column` is float64[N]. Without `prove` no step solves an integer program once there
    is a choice, and the total is what `minimise` finds so.
    `on_progress` sees T and its bound, then the total and its bound. Raises as `minimise` does.
    """
    clock = Clock(time_limit_seconds, stop)
    search = _Search(lower_caps(problem), seconds_per_column, clock, on_progress)
    try:
        refusal = search.run(gap, prove)
    except KeyboardInterrupt:
        clock.stop()
        if search.counts is None:
            raise
        refusal = None
    if refusal is not None:
        return refusal
    if search.counts is None:
        raise TimeoutError(f"neither a solution nor a proof in {clock.spent():.3g} s")
    columns = np.flatnonzero(seconds_per_column <= search.high)
    total = minimise(
        problem.keep(columns),
        clock.left(),
        on_progress,
        clock.over,
        search.counts[columns],
        gap,
        prove,
    )
    assert isinstance(total, Solution)  # it began with one
    counts = np.zeros(problem.columns, dtype=np.int64)
    counts[columns] = total.counts
    solution = replace(
        total,
        counts=counts,
        stopped=clock.stopped,
        seconds={**clock.seconds, **total.seconds},
    )
    bound = min(search.bound, search.high)
    return Slowest(search.high, bound, relative_gap(search.high, bound), solution)


class _Search:
    """low < T* <= high, where low is a time that is proven to be too short."""

    def __init__(
        self,
        problem: Problem,
        times: FloatArray,
        clock: Clock,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.problem, self.times, self.clock = problem, times, clock
        self.on_progress = on_progress
        self.lagrangian = Lagrangian(problem, priced=False, times=times)
        self.combination: FloatArray | None = None
        self.counts: IntArray | None = None
        self.high = math.inf
        fastest = np.minimum.reduceat(times, problem.offsets[:-1])
        self.bound = float(fastest.max())

    def run(self, gap: float, prove: bool) -> Infeasible | None:
        with self.clock.phase("deadline"):
            if self._fits(self.bound):
                return None
            refusal = self._anything()
            if refusal is not None or self.counts is None:
                return refusal
            between = np.unique(self.times[(self.times >= self.bound) & (self.times < self.high)])
            self._bisect(between, gap, self._fits)
        if prove and relative_gap(self.high, self.bound) > gap:
            with self.clock.phase("deadline search"):
                between = between[(between >= self.bound) & (between < self.high)]
                self._bisect(between, gap, self._fits_exactly)
        return None

    def _anything(self) -> Infeasible | None:
        """A first solution, whatever time it takes, or the proof that there is none."""
        if self._fits(float(self.times.max())) is not None and self.counts is not None:
            return None
        found = minimise(self.problem, self.clock.left(), stop=self.clock.over, gap=ANY_GAP)
        if isinstance(found, Infeasible):
            return found
        self._accept(found.counts)
        return None

    def _bisect(
        self, between: FloatArray, gap: float, fits: Callable[[float], bool | None]
    ) -> None:
        """Where `fits` can't tell, the search goes on above; the bound does not follow."""
        first, last = 0, len(between)
        while first < last and not self.clock.over():
            if relative_gap(self.high, self.bound) <= gap:
                return
            middle = (first + last) // 2
            answer = fits(float(between[middle]))
            if answer:
                last = int(np.searchsorted(between, self.high))
            else:
                first = middle + 1
            if answer is False:
                self.bound = float(between[first]) if first < len(between) else self.high
                self._report()

    def _fits(self, deadline: float) -> bool | None:
        """Whether a choice within the deadline keeps the rows, None where that isn't clear."""
        start = self.combination
        best, impossible = infeasibility(self.lagrangian, self.clock, deadline, start)
        self.combination = best.multipliers
        if impossible:
            return False
        reduced = self.lagrangian.reduced_costs(best, deadline)
        counts = round_to_feasible(self.problem, best.chosen, reduced, self.clock, improve=False)
        if counts is None:
            return None
        self._accept(counts)
        return True

    def _fits_exactly(self, deadline: float) -> bool | None:
        """As `_fits`, by an integer program."""
        columns = np.flatnonzero(self.times <= deadline)
        try:
            found = minimise(
                self.problem.keep(columns), self.clock.left(), stop=self.clock.over, gap=ANY_GAP
            )
        except TimeoutError:
            return None
        if isinstance(found, Infeasible):
            return False
        counts = np.zeros(self.problem.columns, dtype=np.int64)
        counts[columns] = found.counts
        self._accept(counts)
        return True

    def _accept(self, counts: IntArray) -> None:
        slowest = float(self.times[counts > 0].max())
        if slowest < self.high:
            self.counts, self.high = counts, slowest
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.high, self.bound))
