"""What the search asks of an objective: a choice at given levels, and bounds over a box."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np

from .boxes import Box
from .outlook import Outlook
from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.confirm import second_opinion
from .solver.core import best_below
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise, most_cost
from .solver.problem import FloatArray, IntArray
from .solver.solve import Infeasible, minimise
from .solver.whole_units import lower_caps

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

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        """About the best choice of the program at `level`, with each row's cap times its margin."""

    def at_once(self, box: Box, target: float) -> Outlook | None:
        """Of the box as a whole; None: it has no choice. Where the bound can be shown to be at
        least `target`, that is enough."""

    def drawn(self, box: Box, reference: IntArray, target: float) -> Outlook:
        """As `at_once`, with the place in the box as variables, about `reference` columns."""

    def bound_at(self, box: Box, outlook: Outlook) -> float:
        """What the prices of `outlook` say of a part of its box: L there."""

    def better(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        """About the best choice that the program of the box has below the target, int64[N], and a
        bound on all of its choices."""


class Sum:
    """The least Σ cost · x of one objective."""

    def __init__(self, objective: int, clock: Clock, find_gap: float = FIND_GAP) -> None:
        self.objective, self.clock, self.find_gap = objective, clock, find_gap
        self._known: dict[str, FloatArray] = {}
        """The best prices of the last box, for the next."""

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        used = np.flatnonzero(x)
        return math.fsum((program.cost(self.objective, level)[used] * x[used]).tolist())

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

    def at_once(self, box: Box, target: float) -> Outlook | None:
        found = kept(box.lowest(self.objective), box.in_time)
        return None if found is None else self._outlook(found, "at once", target)

    def drawn(self, box: Box, reference: IntArray, target: float) -> Outlook:
        best: Outlook | None = None
        for _ in range(REFERENCES):
            found = kept(box.drawn(reference, self.objective), box.in_time_drawn)
            assert found is not None
            outlook = self._outlook(found, "drawn", target)
            if best is None or outlook.bound > best.bound:
                best = outlook
            if best.bound >= target or (outlook.chosen == reference).all():
                break
            reference = outlook.chosen
        assert best is not None
        return best

    def bound_at(self, box: Box, outlook: Outlook) -> float:
        found = kept(box.drawn(outlook.chosen, self.objective), box.in_time_drawn)
        if found is None:
            return math.inf
        return Lagrangian(found.problem)(outlook.at.multipliers).bound

    def better(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        """Without a target, no choice is dearer than everyone's dearest column; that there is none
        at all is believed only if a second method agrees."""
        problem, at = lower_caps(outlook.program.problem), outlook.at
        below = min(target, most_cost(problem))
        gap = max(BOX_GAP * abs(below), BOX_SHARE * (below - at.bound))
        x, bound = best_below(problem, at, outlook.reduced, below, gap, self.clock)
        if bound >= below and below < target:
            agreed, x = second_opinion(problem, self.clock)
            bound = math.inf if agreed else at.bound
        if x is None:
            return None, bound
        return outlook.program.full(x)[: len(box.fast.apart)], bound

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
