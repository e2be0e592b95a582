"""What the search asks of an objective: a choice at given levels, and a bound over a box."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from .boxes import Box
from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import infeasibility, maximise, most_cost
from .solver.problem import FloatArray, IntArray
from .solver.slowest import minimise_slowest
from .solver.solve import Infeasible, minimise

SOLVE_GAP = 3e-5

Found = tuple[IntArray | None, float]
"""int64[N], and a bound on the best value there."""


class Goal(Protocol):
    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        """Of a choice at its own levels and traffic."""

    def solve(self, program: Program, level: FloatArray) -> Found:
        """The best choice of the program at `level`."""

    def solve_box(self, box: Box) -> Found:
        """The best choice of the program that no choice of the box can beat."""

    def bound(self, box: Box, target: float) -> float:
        """No choice of the box has a lower value; inf: there is none. Where it can be shown to be
        at least `target`, that is enough."""


class Sum:
    """The least Σ cost · x of one objective."""

    def __init__(self, objective: int, clock: Clock) -> None:
        self.objective, self.clock = objective, clock
        self.prices: FloatArray | None = None
        """The best ones of the last box, for the next."""
        self.prices_at_once: FloatArray | None = None

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        used = np.flatnonzero(x)
        return math.fsum((program.cost(self.objective, level)[used] * x[used]).tolist())

    def solve(self, program: Program, level: FloatArray) -> Found:
        return self._solve(kept(program.at(level, self.objective), program.in_time(level)))

    def solve_box(self, box: Box) -> Found:
        return self._solve(kept(box.lowest(self.objective), box.in_time))

    def _solve(self, found: Kept | None) -> Found:
        if found is None:
            return None, math.inf
        try:
            left, over = self.clock.left(), self.clock.over
            solution = minimise(found.problem, left, stop=over, gap=SOLVE_GAP)
        except TimeoutError:
            return None, -math.inf
        if isinstance(solution, Infeasible):
            return None, math.inf
        return found.full(solution.counts), solution.bound

    def bound(self, box: Box, target: float) -> float:
        """First of the whole box at once, which says enough of levels that are too low; then, where
        the box is not too wide for it, drawn between its corners."""
        bound = self._at_once(box, target)
        if bound >= target or box.wide:
            return bound
        return max(bound, self._between(box, target))

    def _at_once(self, box: Box, target: float) -> float:
        found = kept(box.lowest(self.objective), box.in_time)
        if found is None:
            return math.inf
        lagrangian = Lagrangian(found.problem)
        known = self.prices_at_once
        if known is not None:
            best = lagrangian(known).bound
            if best >= target:
                return best
        dual = maximise(lagrangian, DUAL_TOLERANCE, self.clock, start=known, enough=target)
        if dual.infeasible:
            return math.inf
        self.prices_at_once = dual.best.multipliers
        return dual.best.bound

    def _between(self, box: Box, target: float) -> float:
        corners = [kept(box.at(c, self.objective), box.in_time) for c in box.corners()]
        middle = kept(box.at(box.centre, self.objective), box.in_time)
        if middle is None:
            return math.inf
        at_corners = [Lagrangian(corner.problem) for corner in corners if corner is not None]
        best = -math.inf
        known = self.prices
        if known is not None:
            best = min(at(known).bound for at in at_corners)
            if best >= target:
                return best
        dual = maximise(Lagrangian(middle.problem), DUAL_TOLERANCE, self.clock, start=known)
        prices = dual.best.multipliers
        if not dual.infeasible:
            self.prices = prices
        bound = min(at(prices).bound for at in at_corners)
        dearest = max(most_cost(at.problem) for at in at_corners)
        return math.inf if bound > dearest else max(bound, best)


class Slowest:
    """The least time in which the slowest client gets through its round."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        return float(program.round_seconds(level)[x > 0].max())

    def solve(self, program: Program, level: FloatArray) -> Found:
        found = kept(program.at(level), program.in_time(level))
        return self._solve(found, program.round_seconds(level))

    def solve_box(self, box: Box) -> Found:
        return self._solve(kept(box.lowest(), box.in_time), box.fast.round_seconds(box.low.level))

    def _solve(self, found: Kept | None, times: FloatArray) -> Found:
        if found is None:
            return None, math.inf
        try:
            left, over = self.clock.left(), self.clock.over
            best = minimise_slowest(
                found.problem, times[found.columns], left, stop=over, gap=SOLVE_GAP
            )
        except TimeoutError:
            return None, -math.inf
        if isinstance(best, Infeasible):
            return None, math.inf
        return found.full(best.solution.counts), best.bound

    def bound(self, box: Box, target: float) -> float:
        """A combination of rows that is exceeded at every corner by all choices among the columns
        that take less than `target` at the box's low edge proves it."""
        if not box.fast.static.leaves_all(box.in_time):
            return math.inf
        times = np.where(box.in_time, box.fast.round_seconds(box.low.level), np.inf)
        floor = float(np.minimum.reduceat(times, box.fast.static.offsets[:-1]).max())
        if floor >= target:
            return floor
        deadline = min(target, float(times[np.isfinite(times)].max()))
        at_middle = Lagrangian(box.at(box.centre), priced=False, times=times)
        found, impossible = infeasibility(at_middle, self.clock, deadline)
        if not impossible:
            return floor
        for corner in box.corners():
            at = Lagrangian(box.at(corner), priced=False, times=times)
            if at(found.multipliers, deadline).bound <= 0:
                return floor
        return target
