"""Branch and bound over boxes of levels and links, for one goal."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .best import Best
from .boxes import Box, Boxes
from .corners import Point
from .division import Edge, above_rest, cut, edges, flat, widest_level
from .goal import Asked, Goal
from .outlook import Outlook
from .queues import least_wait
from .solver.clock import Clock
from .solver.problem import IntArray

EFFORT = 100_000
"""Branching nodes times columns that the integer program of a box may take; then it is divided."""
LEFT_OUT = 5
"""Choices that a box's program leaves out at the most, as they have been tried before."""
FEW = 200
"""So few choices are tried one by one, rather than dividing their box."""
FEW_ENTRIES = 10_000
"""Or fewer, so that they have no more groups together."""
LISTED = 3
"""Times as many are listed, as some may have been tried before."""
READY = 0.3
"""Of what is left to the target: what the width of a box may cost its bound where its integer
program is to be solved."""


class Part(NamedTuple):
    """What may hold better choices, of the columns alone that `boxes` has."""

    boxes: Boxes
    low: Point
    high: Point


@dataclass(order=True)
class _Open:
    """None of its choices costs less than `bound`."""

    bound: float
    tie: int
    part: Part = field(compare=False)
    closer: tuple[Box, Outlook] | None = field(compare=False)
    """From the corners; None: the levels are too far apart for it."""


class Branching:
    """`on_bound` sees what no choice costs less than, so far."""

    def __init__(
        self, goal: Goal, best: Best, clock: Clock, on_bound: Callable[[float], None]
    ) -> None:
        self.goal, self.best, self.clock, self.on_bound = goal, best, clock, on_bound
        self._heap: list[_Open] = []
        self._ties = itertools.count()
        self._closed = math.inf
        """The least bound of a box that is closed."""

    def run(self, parts: list[Part], until: Callable[[], bool]) -> list[Part]:
        """Closes boxes until none is left, or `until` holds; what is left, and what is too small to
        be divided."""
        best, undecided = self.best, list[Part]()
        for part in parts:
            self._add(part, -math.inf)
        while self._heap and not self.clock.over() and not until():
            this = heapq.heappop(self._heap)
            self.on_bound(min(this.bound, self._closed))
            bound, found = this.bound, edges(this.part.low, this.part.high)
            if this.closer and bound < best.better and (not found or self._ready(*this.closer)):
                bound = max(bound, self._better(*this.closer, EFFORT if found else math.inf))
            if bound >= best.better or not found:
                self._closed = min(self._closed, bound, best.better)
                undecided += [] if bound >= best.better else [this.part]
                continue
            for part in self._halves(this):
                self._add(part, bound)
        least = min((this.bound for this in self._heap), default=math.inf)
        self.on_bound(min(least, self._closed))
        return [*(this.part for this in self._heap), *undecided]

    def _add(self, part: Part, bound: float) -> None:
        """Closes a box or keeps it open."""
        target, boxes = self.best.better, part.boxes
        low, high = boxes.consistent(part.low, part.high)
        box, closer = boxes.box(low, high), None
        outlook = self.goal.at_once(box, target)
        if outlook is None:
            self._closed = min(self._closed, target)
            return
        bound = max(bound, outlook.bound)
        if bound < target:
            boxes = boxes.only(outlook.useful(box, target))
            if not box.wide:
                box = boxes.box(low, high)
                found = self.goal.cornered(box, target)
                if found is None:
                    self._closed = min(self._closed, target)
                    return
                closer, bound = (box, found), max(bound, found.bound)
        if bound >= target or self._try_all(*(closer or (box, outlook))):
            self._closed = min(self._closed, target, self.best.value)
            return
        heapq.heappush(self._heap, _Open(bound, next(self._ties), Part(boxes, low, high), closer))

    def _try_all(self, box: Box, outlook: Outlook) -> bool:
        """Whether each choice of a box that may be better has been tried."""
        best, columns = self.best, box.boxes.columns
        few = min(FEW, FEW_ENTRIES // box.fast.static.groups)
        if few == 0 or self.clock.over():
            return False
        listed = outlook.listed(box, best.better, LISTED * few)
        if listed is None:
            return False
        new = [x for x in listed if not best.tried(x, columns)]
        if len(new) > few:
            return False
        if new:
            best.offer_all(np.array(new), columns)
        return True

    def _better(self, box: Box, outlook: Outlook, effort: float) -> float:
        """A bound from the integer program of a box. What it finds is offered, and what is near."""
        x, bound = self._untried(box, outlook, effort)
        if x is not None and not self.best.tried(x, box.boxes.columns):
            self.best.improve(self.best.offer(x, box.boxes.columns))
        return bound

    def _untried(self, box: Box, outlook: Outlook, effort: float) -> tuple[IntArray | None, float]:
        """What the integer program finds that was not tried before, and a bound on all that was not
        tried."""
        best, columns, tried = self.best, box.boxes.columns, list[IntArray]()
        step = 0.0 if best.grid is None else best.grid.apart
        while True:
            x, bound = self.goal.better(box, outlook, Asked(best.better, tried, step, effort))
            if x is None or not best.tried(x, columns) or len(tried) == LEFT_OUT:
                return x, bound
            tried.append(x)

    def _ready(self, box: Box, outlook: Outlook) -> bool:
        """Whether the integer program of a box can say more of it than dividing it."""
        target = self.best.better
        place = outlook.likely(box, target)
        boxes = box.boxes.only(outlook.useful(box, target))
        there = self.goal.bound_at(boxes.box(place, place), outlook, target)
        return there - outlook.at.bound < READY * outlook.room(target)

    def _halves(self, this: _Open) -> Iterator[Part]:
        boxes, low, high = this.part
        if this.closer is None:
            edge = widest_level(low, high)
            if low.level[edge[1]] == 0:
                least = least_wait(boxes.program, edge[1], float(high.level[edge[1]]))
                for first, last in above_rest(low, high, edge, least):
                    yield Part(boxes, first, last)
                return
        else:
            box, outlook = this.closer
            target = self.best.better
            low, high = outlook.narrowed(box, target)
            boxes = boxes.only(outlook.useful(box, target))
            place = outlook.likely(box, target)
            edge = self._edge(boxes, outlook, low, high, place)
        for first, last in cut(low, high, edge):
            yield Part(boxes, first, last)

    def _edge(self, boxes: Boxes, outlook: Outlook, low: Point, high: Point, place: Point) -> Edge:
        """The one whose width costs the bound the most."""
        found = edges(low, high) or [widest_level(low, high)]

        def without(edge: Edge) -> float:
            slice_ = boxes.box(*flat(low, high, edge, place))
            return self.goal.bound_at(slice_, outlook, self.best.better)

        return max(found, key=without) if len(found) > 1 else found[0]
