"""What the search asks of an objective: a choice at given levels, and bounds over a box."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np

from .boxes import Box, Price
from .outlook import Outlook
from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.core import best_below
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import BoolArray, FloatArray, IntArray
from .solver.solve import Infeasible, minimise
from .solver.whole_units import lower_caps
from .trial import Trial

FIND_GAP = 3e-4
"""To which a program at given levels is solved: what is found is about the best for others."""
BOX_GAP = 2e-5
BOX_SHARE = 0.1
"""Of what is left to the target: to this, or `BOX_GAP` of the value, a box's program is solved."""
REFERENCES = 2
"""How often a box is drawn about the columns that its own bound is about."""


class Goal(Protocol):
    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        """Of a choice at its own levels and traffic."""

    def values(self, program: Program, trial: Trial) -> FloatArray:
        """float64[M]: of each choice."""

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        """About the best choice of the program at `level`, with each row's cap times its margin."""

    def at_once(self, box: Box, target: float) -> Outlook | None:
        """Of the box as a whole; None: it has no choice below the target. Where the bound can be
        shown to be at least that, it is enough."""

    def drawn(self, box: Box, reference: IntArray, target: float) -> Outlook | None:
        """As `at_once`, with the place in the box as variables, about `reference` columns."""

    def bound_at(self, box: Box, outlook: Outlook, target: float) -> float:
        """What the prices of `outlook` say of a part of its box: L there."""

    def better(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        """About the best choice that the program of the box has below the target, int64[N], and a
        bound on all of its choices."""

    def within(
        self, box: Box, outlook: Outlook, target: float, margins: FloatArray
    ) -> IntArray | None:
        """The same with each row's cap times its margin."""


class Priced:
    """A goal whose bounds are those of a cost of each column."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._known: dict[str, FloatArray] = {}
        """The best prices of the last box, for the next."""

    def price(self, box: Box) -> Price:
        """The total of no choice of the box is above its value."""
        raise NotImplementedError

    def usable(self, box: Box, target: float) -> BoolArray:
        """bool[N]: the columns that choices below the target may take, wherever in the box."""
        raise NotImplementedError

    def at_once(self, box: Box, target: float) -> Outlook | None:
        found = kept(box.lowest(self.price(box)), self.usable(box, target))
        return None if found is None else self._outlook(found, "at once", target)

    def drawn(self, box: Box, reference: IntArray, target: float) -> Outlook | None:
        best: Outlook | None = None
        for _ in range(REFERENCES):
            found = self._drawn(box, reference, target)
            if found is None:
                return None
            outlook = self._outlook(found, "drawn", target)
            if best is None or outlook.bound > best.bound:
                best = outlook
            if best.bound >= target or (outlook.chosen == reference).all():
                break
            reference = outlook.chosen
        return best

    def bound_at(self, box: Box, outlook: Outlook, target: float) -> float:
        found = self._drawn(box, outlook.chosen, target)
        return (
            math.inf if found is None else Lagrangian(found.problem)(outlook.at.multipliers).bound
        )

    def within(
        self, box: Box, outlook: Outlook, target: float, margins: FloatArray
    ) -> IntArray | None:
        part = box.within(margins)
        found = None if part is None else self._drawn(part, outlook.chosen, target)
        if part is None or found is None:
            return None
        found = replace(found, problem=part.lowered(found.problem, margins))
        lagrangian = Lagrangian(found.problem)
        at = lagrangian(outlook.at.multipliers)
        closer = Outlook(at.bound, found, lagrangian, at)
        return None if at.bound >= target else self.better(part, closer, target)[0]

    def better(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        problem, at = lower_caps(outlook.program.problem), outlook.at
        gap = max(BOX_GAP * abs(target), BOX_SHARE * (target - at.bound))
        x, bound = best_below(problem, at, outlook.reduced, target, gap, self.clock)
        if x is None:
            return None, bound
        return outlook.program.full(x)[: len(box.fast.apart)], bound

    def _drawn(self, box: Box, reference: IntArray, target: float) -> Kept | None:
        problem = box.drawn(reference, self.price(box))
        return kept(problem, box.with_place(self.usable(box, target)))

    def _outlook(self, found: Kept, kind: str, target: float) -> Outlook:
        lagrangian, known = Lagrangian(found.problem), self._known.get(kind)
        if known is not None:
            at = lagrangian(known)
            if at.bound >= target:
                return Outlook(at.bound, found, lagrangian, at)
        dual = maximise(lagrangian, DUAL_TOLERANCE, self.clock, start=known, enough=target)
        if not dual.infeasible:
            self._known[kind] = dual.best.multipliers
        bound = math.inf if dual.infeasible else dual.best.bound
        return Outlook(bound, found, lagrangian, dual.best)


class Sum(Priced):
    """The least Σ cost · x of one objective."""

    def __init__(self, objective: int, clock: Clock, find_gap: float = FIND_GAP) -> None:
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
        found = kept(replace(problem, caps=problem.caps * margins), program.in_time(level))
        if found is None:
            return None
        try:
            left, over = self.clock.left(), self.clock.over
            solution = minimise(found.problem, left, stop=over, gap=self.find_gap)
        except TimeoutError:
            return None
        return None if isinstance(solution, Infeasible) else found.full(solution.counts)

    def price(self, box: Box) -> Price:
        return box.price(self.objective)

    def usable(self, box: Box, target: float) -> BoolArray:
        return box.in_time
