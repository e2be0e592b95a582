"""The goal of the search until a first choice is found: any that keeps all limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .boxes import Box, Price
from .cornered import Cornered
from .goal import BOX_SHARE, FIND_GAP, Asked, Priced
from .nearby import nearby
from .outlook import Outlook
from .places import box_program
from .program import Program
from .queues import kept
from .solver.confirm import second_opinion
from .solver.core import best_below
from .solver.lagrangian import Evaluation, Lagrangian
from .solver.multipliers import infeasibility
from .solver.problem import BoolArray, FloatArray, IntArray, Problem
from .solver.solve import Infeasible, minimise
from .solver.whole_units import lower_caps
from .trial import Trial

ROUNDING = 1e-9
"""Of what a combination allows: a choice that asks just that is one."""


class AnyChoice(Priced):
    """A combination of a box's rows that all choices exceed proves that it has none. Where there is
    no such combination, the one that is exceeded the most, or kept the least, is what a choice is
    asked to leave the most room in."""

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        return 0.0

    def values(self, program: Program, trial: Trial) -> FloatArray:
        return np.zeros(len(trial.filled))

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        problem = program.at(level)
        return self._any(replace(problem, caps=problem.caps * margins), program.in_time(level))

    def near(self, program: Program, x: IntArray, level: FloatArray) -> IntArray | None:
        return self._any(nearby(program, x, level, Price.nothing(program)), program.in_time(level))

    def _any(self, problem: Problem, in_time: BoolArray) -> IntArray | None:
        found = kept(problem, in_time)
        if found is None:
            return None
        at, impossible = infeasibility(Lagrangian(found.problem, priced=False), self.clock)
        if impossible:
            return None
        try:
            left, over = self.clock.left(), self.clock.over
            solution = minimise(_priced(found.problem, at), left, stop=over, gap=FIND_GAP)
        except TimeoutError:
            return None
        return None if isinstance(solution, Infeasible) else found.full(solution.counts)

    def price(self, box: Box) -> Price:
        return Price.nothing(box.fast)

    def usable(self, box: Box, target: float) -> BoolArray:
        return box.in_time

    def confirmed(self, problem: Problem) -> tuple[bool, IntArray | None]:
        """Whether there is no solution where HiGHS says so; one that there is after all."""
        return second_opinion(problem, self.clock)

    def better(self, box: Box, outlook: Outlook, asked: Asked) -> tuple[IntArray | None, float]:
        """That there is none is believed only where it is confirmed."""
        program = box_program(box, self.price(box), outlook, asked.target)
        found = program.without(asked.without)
        problem = lower_caps(found.problem)
        excess = _priced(problem, outlook.at)
        allowed = _paid(problem, outlook.at)
        at = replace(found.at, bound=found.at.bound + allowed)
        most = allowed + ROUNDING * abs(allowed)
        gap = BOX_SHARE * (most - at.bound)
        x, bound = best_below(excess, at, found.reduced, most, gap, self.clock, asked.effort)
        if bound >= most:
            agreed, x = self.confirmed(problem)
            bound = math.inf if agreed else -math.inf
        else:
            bound = -math.inf
        return None if x is None else found.full(x), bound

    def _outlook(
        self, columns: IntArray, lagrangian: Lagrangian | Cornered, kind: str, target: float
    ) -> Outlook:
        at, impossible = infeasibility(lagrangian, self.clock)
        bound = math.inf if impossible else -math.inf
        return Outlook(bound, columns, lagrangian, at, 0.0)


def _priced(problem: Problem, at: Evaluation) -> Problem:
    """With what the combination asks as the cost."""
    return replace(problem, cost=at.multipliers @ problem.weights)


def _paid(problem: Problem, at: Evaluation) -> float:
    """What the combination allows."""
    return float(at.multipliers @ problem.limits)
