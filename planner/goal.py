"""What the search asks of an objective: a choice at given levels, and a bound over a box."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import infeasibility, maximise
from .solver.problem import FloatArray, IntArray, Problem
from .solver.slowest import minimise_slowest
from .solver.solve import Infeasible, minimise

SOLVE_GAP = 3e-5

Found = tuple[IntArray | None, float]
"""int64[N], and a bound on the best value there."""


class Goal(Protocol):
    def value(self, x: IntArray, level: FloatArray) -> float:
        """Of a choice at its own levels."""

    def solve(self, level: FloatArray) -> Found:
        """The best choice of the program at `level`."""

    def solve_box(self, low: FloatArray, high: FloatArray) -> Found:
        """The best choice of the program that no choice with levels in the box can beat."""

    def bound(self, low: FloatArray, high: FloatArray, target: float) -> float:
        """No choice with levels in the box has a lower value; inf: there is none. Where it can be
        shown to be at least `target`, that is enough."""


def corners(low: FloatArray, high: FloatArray) -> Iterator[FloatArray]:
    for corner in itertools.product(*zip(low, high, strict=True)):
        yield np.array(corner)


class Sum:
    """The least Σ cost · x of one objective."""

    def __init__(self, program: Program, objective: int, clock: Clock) -> None:
        self.program, self.objective, self.clock = program, objective, clock
        self.prices: FloatArray | None = None

    def value(self, x: IntArray, level: FloatArray) -> float:
        used = np.flatnonzero(x)
        return math.fsum((self.program.cost(self.objective, level)[used] * x[used]).tolist())

    def solve(self, level: FloatArray) -> Found:
        return self._solve(kept(self.program, self.program.at(level, self.objective), level))

    def solve_box(self, low: FloatArray, high: FloatArray) -> Found:
        return self._solve(kept(self.program, self.program.between(low, high, self.objective), low))

    def _solve(self, found: Kept | None) -> Found:
        if found is None:
            return None, math.inf
        try:
            solution = minimise(
                found.problem, self.clock.left(), stop=self.clock.over, gap=SOLVE_GAP
            )
        except TimeoutError:
            return None, -math.inf
        if isinstance(solution, Infeasible):
            return None, math.inf
        return found.full(solution.counts, self.program.static.columns), solution.bound

    def bound(self, low: FloatArray, high: FloatArray, target: float) -> float:
        middle = np.sqrt(np.maximum(low, high * 1e-3) * high)
        at_corners = []
        for corner in corners(low, high):
            found = kept(self.program, self.program.near(corner, middle, self.objective), low)
            if found is None:
                return math.inf
            at_corners.append(Lagrangian(found.problem))
        best = -math.inf
        if self.prices is not None:
            best = min(at(self.prices).bound for at in at_corners)
            if best >= target:
                return best
        found = kept(self.program, self.program.near(middle, middle, self.objective), low)
        assert found is not None
        at_middle = Lagrangian(found.problem)
        dual = maximise(at_middle, DUAL_TOLERANCE, self.clock, start=self.prices)
        prices = dual.best.multipliers
        if not dual.infeasible:
            self.prices = prices
        bound = min(at(prices).bound for at in at_corners)
        dearest = max(_dearest(at.problem) for at in at_corners)
        return math.inf if bound > dearest else max(bound, best)


def _dearest(problem: Problem) -> float:
    most = np.maximum.reduceat(problem.cost, problem.offsets[:-1])
    total = math.fsum((most * problem.counts).tolist())
    return total + 1e-9 * abs(total)


class Slowest:
    """The least time in which the slowest client gets through its round."""

    def __init__(self, program: Program, clock: Clock) -> None:
        self.program, self.clock = program, clock

    def value(self, x: IntArray, level: FloatArray) -> float:
        return float(self.program.round_seconds(level)[x > 0].max())

    def solve(self, level: FloatArray) -> Found:
        return self._solve(kept(self.program, self.program.at(level), level), level)

    def solve_box(self, low: FloatArray, high: FloatArray) -> Found:
        return self._solve(kept(self.program, self.program.between(low, high), low), low)

    def _solve(self, found: Kept | None, level: FloatArray) -> Found:
        if found is None:
            return None, math.inf
        times = self.program.round_seconds(level)[found.columns]
        try:
            best = minimise_slowest(
                found.problem, times, self.clock.left(), stop=self.clock.over, gap=SOLVE_GAP
            )
        except TimeoutError:
            return None, -math.inf
        if isinstance(best, Infeasible):
            return None, math.inf
        return found.full(best.solution.counts, self.program.static.columns), best.bound

    def bound(self, low: FloatArray, high: FloatArray, target: float) -> float:
        """A combination of rows that is exceeded at every corner by all choices among the columns
        that take less than `target` at `low` proves it."""
        middle = np.sqrt(np.maximum(low, high * 1e-3) * high)
        program, times = self.program, self.program.round_seconds(low)
        least = np.minimum.reduceat(
            np.where(program.in_time(low), times, np.inf), program.static.offsets[:-1]
        )
        floor = float(least.max())
        if floor >= target or math.isinf(floor):
            return floor
        fast = np.where(program.in_time(low), times, np.inf)
        deadline = min(target, float(fast[np.isfinite(fast)].max()))
        at_middle = Lagrangian(program.near(middle, middle), priced=False, times=fast)
        found, impossible = infeasibility(at_middle, self.clock, deadline)
        if not impossible:
            return floor
        for corner in corners(low, high):
            at = Lagrangian(program.near(corner, middle), priced=False, times=fast)
            if at(found.multipliers, deadline).bound <= 0:
                return floor
        return target
