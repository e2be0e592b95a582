"""The best choice by the first objective, at the levels that the choice itself makes.

How long a step waits depends on who else is served, and so do its cost and what it asks of C5 and
C6. At given levels the program is linear (`Program.at`). Over all levels it is solved in three
steps: the levels at which the linear program's bound is least (`cheapest_levels` in queues.py), the
program solved there, and a proof by branch and bound over boxes of levels (`Search`).

Why few boxes are enough: for prices λ of the rows, the Lagrangian

    L(w) = Σ_clients min over their columns of [cost(w) + λ · asked(w)] − λ · caps

bounds all choices whose own levels are w. `Program.near` gives the brackets so that each lies below
its true value in all of a box when it is taken at the corners and drawn straight between them. A
minimum of straight lines is concave: L is least at a corner. At the best levels L is flat.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .goal import Goal
from .program import Program
from .queues import holds, reachable, settle
from .solver.clock import Clock
from .solver.core import PROVEN_GAP
from .solver.problem import FloatArray, IntArray
from .solver.solve import Infeasible, OnProgress, Progress

GAP = 0.8 * PROVEN_GAP
"""The search goes on to this."""
STEP = 1.6
"""Factor between levels that are tried until a first choice is found."""
SPREAD = 1.02
"""The first box around the best levels reaches from q / SPREAD to q · SPREAD."""
WIDE = 1.1
"""Where a box's edges are further apart than this, its program says too little to be solved."""
NARROW = 1.0005
"""A box whose edges are closer than this is not divided again."""
TINY = 1e-9
TRIES = 8


@dataclass(order=True)
class Box:
    """Levels from `low` to `high`, float64[K]; no choice whose levels are in it costs less than
    `bound`."""

    bound: float
    tie: int
    low: FloatArray = field(compare=False)
    high: FloatArray = field(compare=False)


def first_boxes(
    level: FloatArray, least: FloatArray, most: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """All levels from `least` to `most` in boxes, one of them around `level`."""
    edges = [
        sorted({low, *np.clip([middle / SPREAD, middle * SPREAD], low, high).tolist(), high})
        for middle, low, high in zip(level.tolist(), least.tolist(), most.tolist(), strict=True)
    ]
    for spans in itertools.product(*(itertools.pairwise(edge) for edge in edges)):
        low, high = zip(*spans, strict=True)
        yield np.array(low), np.array(high)


def halves(low: FloatArray, high: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The box divided along its longest edge, as a ratio."""
    ratios = high / np.maximum(low, high * 1e-3)
    k = int(ratios.argmax())
    middle = math.sqrt(max(low[k], high[k] * 1e-3) * high[k])
    for edges in ((low[k], middle), (middle, high[k])):
        one, other = low.copy(), high.copy()
        one[k], other[k] = edges
        yield one, other


class Search:
    """Branch and bound for one objective; `x`, `level` and `value` are the best choice so far."""

    def __init__(
        self, goal: Goal, program: Program, clock: Clock, on_progress: OnProgress | None
    ) -> None:
        self.goal, self.program, self.clock, self.on_progress = goal, program, clock, on_progress
        self.x: IntArray | None = None
        self.level = np.zeros(len(program.servers))
        self.value, self.bound = math.inf, -math.inf

    def find(self, start: FloatArray) -> IntArray | None:
        """A choice at levels that are about the best, or at the next higher ones that admit any."""
        most, level = self.program.most_level, start
        self._solve(level)
        while self.x is None and (level < most).any() and not self.clock.over():
            level = np.minimum(level * STEP, most)
            self._solve(level)
        return self.x

    def prove(self, start: FloatArray) -> Infeasible | None:
        """Better choices, and a bound on all of them; None where there is a choice."""
        middle = start if self.x is None else self.level
        lowest, highest = reachable(self.program, middle)
        ties = itertools.count()
        boxes: list[Box] = []
        closed = math.inf

        def add(low: FloatArray, high: FloatArray, least: float) -> float:
            bound = max(least, self.goal.bound(low, high, self._target()))
            if bound < self._target():
                heapq.heappush(boxes, Box(bound, next(ties), low, high))
                return math.inf
            return bound

        for low, high in first_boxes(middle, lowest, highest):
            closed = min(closed, add(low, high, -math.inf))
        while boxes and not self.clock.over():
            box = heapq.heappop(boxes)
            self._raise(min(box.bound, closed))
            bound, wide = box.bound, (box.high > WIDE * np.maximum(box.low, TINY)).any()
            if bound < self._target() and not wide:
                x, least = self.goal.solve_box(box.low, box.high)
                self.offer(x)
                bound = max(bound, least)
            if bound >= self._target() or (box.high <= NARROW * np.maximum(box.low, TINY)).all():
                closed = min(closed, bound)
                continue
            for low, high in halves(box.low, box.high):
                closed = min(closed, add(low, high, bound))
        left = min((box.bound for box in boxes), default=math.inf)
        self._raise(min(left, closed, self.value))
        if self.x is None and self.clock.over():
            raise TimeoutError
        return Infeasible(None, "search", self.clock.seconds) if self.x is None else None

    def _target(self) -> float:
        """What costs at least this much is not worth looking for."""
        return self.value - GAP * abs(self.value) if self.x is not None else math.inf

    def _solve(self, level: FloatArray) -> None:
        """A choice at `level`, taken at the levels that it makes. They are shorter, so it asks for
        more of C5_server_compute and C6 there: where that is too much, again at those levels."""
        for _ in range(TRIES):
            x, _ = self.goal.solve(level)
            if x is None or self.offer(x):
                return
            own = settle(self.program, x)
            if (own >= level * (1 - 1e-6)).all():
                return
            level = np.minimum(own, level)

    def offer(self, x: IntArray | None) -> bool:
        """Whether x keeps all limits at its own levels; the best of those is kept."""
        if x is None:
            return False
        level = settle(self.program, x)
        if not holds(self.program, x, level):
            return False
        value = self.goal.value(x, level)
        if value < self.value:
            self.x, self.level, self.value = x, level, value
            self._report()
        return True

    def _raise(self, bound: float) -> None:
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.value, self.bound))
