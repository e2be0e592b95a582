"""The best choice by the first objective, at the levels that the choice itself makes.

How long a step waits depends on who else is served, and so do its cost and what it asks of C5 and
C6. The same holds for how full the servers' links are. At given levels and links the program is
linear (`Program.at`). Over all of them it is solved in three steps: levels at which the linear
program's bound is low (`cheapest_levels` in queues.py), the program solved there, and a proof by
branch and bound over boxes of levels and links (`Search`).

A box is bounded by a program that all of its choices keep. In the first one nothing depends on the
place in the box: steps are as short as at its low edge (`Box.lowest`). In the second one the place
is among the variables (`Box.drawn`): costs and loads are straight lines below the true ones, whose
distance is of second order in the box's width, and about the best levels the bound is flat. So few
boxes are left open. Each is made smaller by reduced costs (`Outlook`), then divided along the edge
whose width costs the bound the most, until its integer program says more than its halves.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .best import Best
from .boxes import Box, Boxes
from .corners import Point
from .division import Edge, cut, edges, first_levels, flat, widest_level
from .goal import Goal
from .outlook import Outlook
from .program import Program
from .queues import emptiest_links, fullest_links, reachable
from .solver.clock import Clock
from .solver.confirm import all_choices, choices
from .solver.problem import FloatArray
from .solver.solve import Infeasible, OnProgress, Progress

READY = 0.1
"""Of what is left to the target: what the width of a box may cost its bound where its integer
program is to be solved."""
FEW_CHOICES = 128


@dataclass(order=True)
class Open:
    """A box that may hold better choices; none costs less than `bound`. `boxes` makes boxes of the
    columns alone that may still matter there."""

    bound: float
    tie: int
    boxes: Boxes = field(compare=False)
    low: Point = field(compare=False)
    high: Point = field(compare=False)
    drawn: tuple[Box, Outlook] | None = field(compare=False)
    """None: the levels are too far apart for it."""


class Search:
    """Branch and bound for one objective."""

    def __init__(
        self, goal: Goal, program: Program, clock: Clock, on_progress: OnProgress | None
    ) -> None:
        self.goal, self.program, self.clock, self.on_progress = goal, program, clock, on_progress
        self.best = Best(goal, program, clock, self._report)
        self.bound = -math.inf
        self._heap: list[Open] = []
        self._ties = itertools.count()

    def prove(self, start: FloatArray) -> Infeasible | None:
        """Better choices, and a bound on all of them; None where there is a choice. Where there are
        few choices, each is tried."""
        best, program = self.best, self.program
        if choices(program.static) <= FEW_CHOICES:
            for choice in all_choices(program.static):
                best.offer(choice)
            self._raise(best.value)
            return Infeasible(None, "search", self.clock.seconds) if best.x is None else None
        middle = start if best.x is None else best.level
        lowest, highest = reachable(program, middle)
        empty, full = emptiest_links(program, highest), fullest_links(program)
        boxes, closed = Boxes(program), math.inf
        for bottom, top in first_levels(middle, lowest, highest):
            closed = min(
                closed, self._add(boxes, Point(bottom, empty), Point(top, full), -math.inf)
            )
        while self._heap and not self.clock.over():
            this = heapq.heappop(self._heap)
            self._raise(min(this.bound, closed))
            bound, found = this.bound, edges(this.low, this.high)
            if this.drawn and bound < best.target and (not found or self._ready(*this.drawn)):
                x, least = self.goal.better(*this.drawn, best.target)
                if x is not None:
                    best.offer(x, this.boxes.columns)
                bound = max(bound, least)
            if bound >= best.target or not found:
                closed = min(closed, bound)
                continue
            for part in self._parts(this):
                closed = min(closed, self._add(*part, bound))
        left = min((this.bound for this in self._heap), default=math.inf)
        self._raise(min(left, closed, best.value))
        if best.x is None and self.clock.over():
            raise TimeoutError
        return Infeasible(None, "search", self.clock.seconds) if best.x is None else None

    def _add(self, boxes: Boxes, low: Point, high: Point, bound: float) -> float:
        """Closes a box or keeps it open; the bound of a closed one."""
        target = self.best.target
        low, high = boxes.consistent(low, high)
        box, drawn = boxes.box(low, high), None
        outlook = self.goal.at_once(box, target)
        if outlook is None:
            return math.inf
        bound = max(bound, outlook.bound)
        if bound >= target:
            return bound
        useful = outlook.useful(target)
        boxes = boxes.only(useful)
        if not box.wide:
            box, chosen = boxes.box(low, high), outlook.chosen
            if len(box.fast.apart) < len(useful):
                chosen = np.searchsorted(np.flatnonzero(useful), chosen)
            drawn = box, self.goal.drawn(box, chosen, target)
            bound = max(bound, drawn[1].bound)
            if bound >= target:
                return bound
        heapq.heappush(self._heap, Open(bound, next(self._ties), boxes, low, high, drawn))
        return math.inf

    def _ready(self, box: Box, outlook: Outlook) -> bool:
        """Whether the integer program of a box can say more of it than dividing it."""
        target = self.best.target
        place = outlook.likely(box, target)
        there = self.goal.bound_at(box.boxes.box(place, place), outlook)
        return there - outlook.at.bound < READY * outlook.room(target)

    def _parts(self, this: Open) -> Iterator[tuple[Boxes, Point, Point]]:
        """The halves of what may hold better choices."""
        if this.drawn is None:
            boxes, low, high = this.boxes, this.low, this.high
            edge = widest_level(low, high)
        else:
            (box, outlook), target = this.drawn, self.best.target
            low, high = outlook.narrowed(box, target)
            boxes = this.boxes.only(outlook.useful(target))
            edge = self._edge(box, outlook, low, high)
        for first, last in cut(low, high, edge):
            yield boxes, first, last

    def _edge(self, box: Box, outlook: Outlook, low: Point, high: Point) -> Edge:
        """The one whose width costs the bound the most."""
        found = edges(low, high) or [widest_level(low, high)]
        place = outlook.likely(box, self.best.target)

        def without(edge: Edge) -> float:
            return self.goal.bound_at(box.boxes.box(*flat(low, high, edge, place)), outlook)

        return max(found, key=without) if len(found) > 1 else found[0]

    def _raise(self, bound: float) -> None:
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.best.value, self.bound))
