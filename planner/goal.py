"""What the search asks of an objective: a choice at given levels, and bounds over a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from .boxes import Box, Price
from .cornered import Cornered, cornered
from .grid import Grid
from .nearby import nearby
from .outlook import Outlook
from .places import box_program
from .program import Program
from .queues import DUAL_TOLERANCE, kept
from .solver.clock import Clock
from .solver.core import best_below
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import BoolArray, FloatArray, IntArray, Problem
from .solver.solve import Infeasible, minimise
from .solver.whole_units import lower_caps
from .trial import Trial

FIND_GAP = 3e-4
"""To which choices at given levels are looked for: what is found is about the best for others."""
NEAR_GAP = 1e-3
"""To which the program around a choice is solved."""
NEAR_EFFORT = 50_000
"""Branching nodes times columns that this is worth."""
BOX_GAP = 2e-5
BOX_SHARE, STEP_SHARE = 0.1, 0.9
"""Of what is left to the target, and of what values differ by: to these, or `BOX_GAP` of the value,
a box's program is solved."""


class Asked(NamedTuple):
    """Of the integer program of a box."""

    target: float
    without: Sequence[IntArray] = ()
    """Choices that are left out."""
    step: float = 0.0
    """Values that differ, differ by at least this."""
    effort: float = math.inf
    """Branching nodes times columns, after which it ends."""


class Goal(Protocol):
    grid: Grid | None
    """On which all values lie, if there is one."""

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        """Of a choice at its own levels and traffic."""

    def values(self, program: Program, trial: Trial) -> FloatArray:
        """float64[M]: of each choice."""

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        """About the best choice of the program at `level`, with each row's cap times its margin."""

    def near(self, program: Program, x: IntArray, level: FloatArray) -> IntArray | None:
        """About the best choice near one that has its own level and traffic in the program; None
        where that isn't known."""

    def everywhere(self, program: Program, target: float) -> float:
        """A bound on all choices below the target, whatever their queues and links."""

    def of_boxes(self) -> Goal:
        """What boxes are asked for where a choice is known."""

    def at_once(self, box: Box, target: float) -> Outlook | None:
        """Of the box as a whole; None: it has no choice below the target. Where the bound can be
        shown to be at least that, it is enough."""

    def cornered(self, box: Box, target: float) -> Outlook | None:
        """As `at_once`, from all corners of the box, which is not wide."""

    def bound_at(self, box: Box, outlook: Outlook, target: float) -> float:
        """What the prices of `outlook` say of a part of its box, of the same columns: L there."""

    def better(self, box: Box, outlook: Outlook, asked: Asked) -> tuple[IntArray | None, float]:
        """About the best choice that the program of the box has below the target, int64[N], and a
        bound on all of its choices but those left out."""


class Priced(Goal):
    """A goal whose bounds are those of a cost of each column."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.grid: Grid | None = None
        self._known: dict[str, FloatArray] = {}
        """The best prices of the last box, for the next."""

    def price(self, box: Box) -> Price:
        """The total of no choice of the box is above its value."""
        raise NotImplementedError

    def usable(self, box: Box, target: float) -> BoolArray:
        """bool[N]: the columns that choices below the target may take, wherever in the box."""
        raise NotImplementedError

    def everywhere(self, program: Program, target: float) -> float:
        return -math.inf

    def of_boxes(self) -> Goal:
        return self

    def at_once(self, box: Box, target: float) -> Outlook | None:
        found = kept(box.lowest(self.price(box)), self.usable(box, target))
        if found is None:
            return None
        return self._outlook(found.columns, Lagrangian(found.problem), "at once", target)

    def cornered(self, box: Box, target: float) -> Outlook | None:
        found = cornered(box, self.price(box), self.usable(box, target))
        return None if found is None else self._outlook(found.columns, found, "cornered", target)

    def bound_at(self, box: Box, outlook: Outlook, target: float) -> float:
        found = cornered(box, self.price(box), self.usable(box, target))
        return math.inf if found is None else found(outlook.at.multipliers).bound

    def better(self, box: Box, outlook: Outlook, asked: Asked) -> tuple[IntArray | None, float]:
        target, without, step, effort = asked
        found = box_program(box, self.price(box), outlook, target).without(without)
        gap = max(BOX_GAP * abs(target), BOX_SHARE * (target - found.at.bound), STEP_SHARE * step)
        problem = lower_caps(found.problem)
        x, bound = best_below(problem, found.at, found.reduced, target, gap, self.clock, effort)
        return None if x is None else found.full(x), bound

    def _found(
        self,
        problem: Problem,
        in_time: BoolArray,
        gap: float,
        effort: float = math.inf,
        start: IntArray | None = None,
    ) -> IntArray | None:
        found, left, over = kept(problem, in_time), self.clock.left(), self.clock.over
        if found is None:
            return None
        first = None if start is None else start[found.columns]
        try:
            solution = minimise(found.problem, left, None, over, first, gap, effort)
        except TimeoutError:
            return None
        return None if isinstance(solution, Infeasible) else found.full(solution.counts)

    def _outlook(
        self, columns: IntArray, lagrangian: Lagrangian | Cornered, kind: str, target: float
    ) -> Outlook:
        known = self._known.get(kind)
        if known is not None:
            at = lagrangian(known)
            if at.bound >= target:
                return Outlook(at.bound, columns, lagrangian, at)
        dual = maximise(lagrangian, DUAL_TOLERANCE, self.clock, start=known, enough=target)
        if not dual.infeasible:
            self._known[kind] = dual.best.multipliers
        bound = math.inf if dual.infeasible else dual.best.bound
        return Outlook(bound, columns, lagrangian, dual.best)


class Sum(Priced):
    """The least Σ cost · x of one objective. Programs at given levels are proven to `find_gap`
    where it is given."""

    def __init__(self, objective: int, clock: Clock, find_gap: float | None = None) -> None:
        super().__init__(clock)
        self.objective, self.find_gap = objective, find_gap

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        used = np.flatnonzero(x)
        return math.fsum((program.cost(self.objective, level)[used] * x[used]).tolist())

    def values(self, program: Program, trial: Trial) -> FloatArray:
        rate, fixed = (
            table[self.objective, trial.column] for table in (program.per_second, program.fixed)
        )
        return trial.sums((rate * trial.seconds + fixed) * trial.members)

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        problem = program.at(level, self.objective)
        problem = replace(problem, caps=problem.caps * margins)
        in_time, gap = program.in_time(level), self.find_gap
        if gap is not None:
            return self._found(problem, in_time, gap)
        return self._found(problem, in_time, FIND_GAP, effort=0)

    def near(self, program: Program, x: IntArray, level: FloatArray) -> IntArray | None:
        return self.in_nearby(self.nearby(program, x, level), program.in_time(level), x)

    def in_nearby(self, problem: Problem, in_time: BoolArray, x: IntArray) -> IntArray | None:
        """About the best choice of the program around one."""
        return self._found(problem, in_time, NEAR_GAP, NEAR_EFFORT, x)

    def nearby(self, program: Program, x: IntArray, level: FloatArray) -> Problem:
        """The program around a choice."""
        price = Price(program.per_second[self.objective], program.fixed[self.objective])
        return nearby(program, x, level, price)

    def price(self, box: Box) -> Price:
        return box.price(self.objective)

    def usable(self, box: Box, target: float) -> BoolArray:
        return box.in_time
