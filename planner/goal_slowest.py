"""The goal of the search where the slowest client counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .boxes import Box
from .goal import FIND_GAP
from .outlook import Outlook
from .program import Program
from .queues import Kept, kept
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import infeasibility
from .solver.problem import FloatArray, IntArray
from .solver.slowest import Slowest as Solved
from .solver.slowest import minimise_slowest
from .solver.solve import Infeasible

SOLVE_GAP = 3e-5


class Slowest:
    """The least time in which the slowest client gets through its round.

    A combination of rows that is exceeded by all choices among the columns that take less than the
    target at a box's low edge proves that none of its choices is better.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        return float(program.round_seconds(level)[x > 0].max())

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        problem = program.at(level)
        found = kept(replace(problem, caps=problem.caps * margins), program.in_time(level))
        try:
            solved = self._solve(found, program.round_seconds(level), FIND_GAP)
        except TimeoutError:
            return None
        return None if found is None or solved is None else found.full(solved.solution.counts)

    def at_once(self, box: Box, target: float) -> Outlook | None:
        found = kept(box.lowest(), box.in_time)
        return None if found is None else self._outlook(box, found, target)

    def drawn(self, box: Box, reference: IntArray, target: float) -> Outlook:
        found = kept(box.drawn(reference), box.in_time_drawn)
        assert found is not None
        return self._outlook(box, found, target)

    def bound_at(self, box: Box, outlook: Outlook) -> float:
        found = kept(box.drawn(outlook.chosen), box.in_time_drawn)
        if found is None:
            return math.inf
        lagrangian = Lagrangian(found.problem, priced=False, times=self._times(box, found))
        return lagrangian(outlook.at.multipliers, outlook.deadline).bound

    def better(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        found = kept(box.lowest(), box.in_time)
        try:
            solved = self._solve(found, box.fast.round_seconds(box.low.level), SOLVE_GAP)
        except TimeoutError:
            return None, -math.inf
        if found is None or solved is None:
            return None, math.inf
        return found.full(solved.solution.counts), solved.bound

    def _outlook(self, box: Box, found: Kept, target: float) -> Outlook:
        times = self._times(box, found)
        lagrangian = Lagrangian(found.problem, priced=False, times=times)
        floor = float(np.minimum.reduceat(times, found.problem.offsets[:-1]).max())
        if floor >= target:
            at = lagrangian(np.zeros(len(found.problem.caps)))
            return Outlook(floor, found, lagrangian, at, 0.0)
        deadline = min(target, float(times.max()))
        at, impossible = infeasibility(lagrangian, self.clock, deadline)
        return Outlook(target if impossible else floor, found, lagrangian, at, 0.0, deadline)

    def _times(self, box: Box, found: Kept) -> FloatArray:
        """float64[N] of the kept columns, at the box's low edge; the place takes no time."""
        times = box.fast.round_seconds(box.low.level)
        return np.append(times, np.zeros(found.total - len(times)))[found.columns]

    def _solve(self, found: Kept | None, times: FloatArray, gap: float) -> Solved | None:
        if found is None:
            return None
        left, over = self.clock.left(), self.clock.over
        solved = minimise_slowest(found.problem, times[found.columns], left, stop=over, gap=gap)
        return None if isinstance(solved, Infeasible) else solved
