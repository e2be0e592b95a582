"""The best choice by the first objective, at the levels that the choice itself makes.

How long a step waits depends on who else is served, and so do its cost and what it asks of C5 and
C6. The same holds for how full the servers' links are. At given levels and links the program is
linear (`Program.at`). Over all of them it is solved in three steps: levels at which the linear
program's bound is low (`cheapest_levels`), the program solved there, and a proof by
branch and bound over boxes of levels and links (`Search`).

A box is bounded by a program that all of its choices keep. In the first one nothing depends on the
place in the box: steps are as short as at its low edge (`Box.lowest`). In the second one the place
is one for all clients (`Cornered`): costs and loads are straight lines below the true ones, whose
distance is of second order in the box's width, and about the best levels the bound is flat. So few
boxes are left open. Each is made smaller by reduced costs (`Outlook`), then divided along the edge
whose width costs the bound the most, until its integer program says more than its halves, or few
choices are left in it, which are tried one by one.
"""

from __future__ import annotations

import math

import numpy as np

from .best import Best
from .boxes import Boxes
from .branching import Branching, Part
from .corners import Point
from .division import first_levels
from .goal import Goal
from .goal_any import AnyChoice
from .program import Program
from .queues import emptiest_links, fullest_links, reachable
from .solver.clock import Clock
from .solver.confirm import all_choices, choices
from .solver.problem import FloatArray
from .solver.solve import Infeasible, OnProgress, Progress

FEW_CHOICES = 128


class Search:
    """Branch and bound for one objective."""

    def __init__(
        self, goal: Goal, program: Program, clock: Clock, on_progress: OnProgress | None
    ) -> None:
        self.goal, self.program, self.clock, self.on_progress = goal, program, clock, on_progress
        self.best = Best(goal, program, clock, self._report)
        self.bound = -math.inf

    def prove(self, start: FloatArray) -> Infeasible | None:
        """Better choices, and a bound on all of them; None where there is a choice. Where there are
        few choices, each is tried. Raises TimeoutError where the search ends with neither a choice
        nor a proof that there is none."""
        best, program = self.best, self.program
        if choices(program.static) <= FEW_CHOICES:
            best.offer_all(np.array(list(all_choices(program.static))))
            self._raise(best.value)
            return None if best.x is not None else self._refusal()
        if self._nothing_better():
            return None
        if best.latest is not None:
            before = best.value
            best.improve(best.latest)
            if best.value < before and self._nothing_better():
                return None
        middle = start if best.x is None else best.level
        lowest, highest = reachable(program, middle)
        empty, full = emptiest_links(program, highest), fullest_links(program)
        boxes = Boxes(program)
        parts = [
            Part(boxes, Point(bottom, empty), Point(top, full))
            for bottom, top in first_levels(middle, lowest, highest)
        ]
        if best.x is None:
            best.seeker = AnyChoice(self.clock)
            first = Branching(best.seeker, best, self.clock, lambda _: None)
            parts = first.run(parts, until=lambda: best.x is not None)
            best.seeker = self.goal
            if best.x is None:
                if parts or self.clock.over():
                    raise TimeoutError
                return self._refusal()
            best.improve(best.latest)
        goal = self.goal.of_boxes()
        Branching(goal, best, self.clock, self._raise).run(parts, until=lambda: False)
        return None

    def _nothing_better(self) -> bool:
        """Whether this is plain without any boxes."""
        best = self.best
        if best.x is None:
            return False
        target = best.better
        self._raise(self.goal.everywhere(self.program, target))
        return self.bound >= target

    def _refusal(self) -> Infeasible:
        return Infeasible(None, "search", self.clock.seconds)

    def _raise(self, bound: float) -> None:
        best = self.best
        if best.grid is not None and bound >= best.better:
            bound = max(bound, best.grid.bound(best.value))
        bound = min(bound, best.value)
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.best.value, self.bound))
