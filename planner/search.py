"""The best choice by the first objective, at the levels that the choice itself makes.

How long a step waits depends on who else is served, and so do its cost and what it asks of C5 and
C6. The same holds for how full the servers' links are. At given levels and links the program is
linear (`Program.at`). Over all of them it is solved in three steps: levels at which the linear
program's bound is low (`cheapest_levels` in queues.py), the program solved there, and a proof by
branch and bound over boxes of levels and links (`Search`).

Why few boxes are enough: for prices λ of the rows, the Lagrangian

    L(w) = Σ_clients min over their columns of [cost(w) + λ · asked(w)] − λ · caps

bounds all choices whose own levels are w. `Box.at` gives the brackets so that each lies below
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

from .boxes import LOWEST, Boxes, Point
from .goal import Goal
from .links import with_own_traffic
from .program import Program
from .queues import fullest_links, holds, reachable
from .solver.clock import Clock
from .solver.confirm import all_choices, choices
from .solver.core import PROVEN_GAP
from .solver.problem import FloatArray, IntArray
from .solver.solve import Infeasible, OnProgress, Progress

GAP = 0.8 * PROVEN_GAP
"""The search goes on to this."""
STEP = 1.6
"""Factor between levels that are tried until a first choice is found."""
SPREAD = 1.02
"""The first box around the best levels reaches from w / SPREAD to w · SPREAD."""
WIDE = 1.5
"""Where a box's levels are further apart than this, its program says too little to be solved."""
NARROW = 1.0005
"""Levels that are closer than this are not divided again."""
THIN = 1e-4
"""Nor are links' uses."""
TINY = 1e-9
FEW_CHOICES = 128
TRIES = 10


@dataclass(order=True)
class Open:
    """A box that may hold better choices; none costs less than `bound`."""

    bound: float
    tie: int
    low: Point = field(compare=False)
    high: Point = field(compare=False)

    @property
    def stretch(self) -> FloatArray:
        """float64[K]: how far apart the levels are, as a ratio."""
        return self.high.level / np.maximum(self.low.level, TINY)

    @property
    def divisible(self) -> bool:
        return bool((self.stretch > NARROW).any() or (self.high.use - self.low.use > THIN).any())


class Search:
    """Branch and bound for one objective. The best choice so far is `x`; `program` is the one that
    it was found with, at its own traffic, and `level` are its own levels."""

    def __init__(
        self, goal: Goal, program: Program, clock: Clock, on_progress: OnProgress | None
    ) -> None:
        self.goal, self.program, self.clock, self.on_progress = goal, program, clock, on_progress
        self.x: IntArray | None = None
        self.level = np.zeros(len(program.servers))
        self.value, self.bound = math.inf, -math.inf

    def find(self, start: FloatArray) -> None:
        """A choice at levels that are about the best, or at the next higher ones that admit any;
        on empty links, or else on full ones."""
        full = np.full_like(self.program.link_use, self.program.policy.server_utilisation)
        for program in (self.program, self.program.at_most(full)):
            level, most = start, program.most_level
            self._solve(program, level)
            while self.x is None and (level < most).any() and not self.clock.over():
                level = np.minimum(level * STEP, most)
                self._solve(program, level)
            if self.x is not None:
                return

    def prove(self, start: FloatArray) -> Infeasible | None:
        """Better choices, and a bound on all of them; None where there is a choice. Where there are
        few choices, each is tried."""
        if choices(self.program.static) <= FEW_CHOICES:
            for choice in all_choices(self.program.static):
                self.offer(choice)
            self._raise(self.value)
            return Infeasible(None, "search", self.clock.seconds) if self.x is None else None
        middle = start if self.x is None else self.level
        lowest, highest = reachable(self.program, middle)
        full = fullest_links(self.program)
        ties, heap, closed = itertools.count(), list[Open](), math.inf
        boxes = Boxes(self.program)

        def add(low: Point, high: Point, least: float) -> float:
            """Closes the box or keeps it open; the bound of a closed one."""
            box = boxes.box(low, high)
            bound = max(least, self.goal.bound(box, self._target()))
            if bound < self._target():
                heapq.heappush(heap, Open(bound, next(ties), low, high))
                return math.inf
            return bound

        for bottom, top in first_levels(middle, lowest, highest):
            ends = Point(bottom, np.zeros_like(full)), Point(top, full)
            closed = min(closed, add(*ends, -math.inf))
        while heap and not self.clock.over():
            box = heapq.heappop(heap)
            self._raise(min(box.bound, closed))
            bound = box.bound
            if bound < self._target() and (box.stretch <= WIDE).all():
                x, least = self.goal.solve_box(boxes.box(box.low, box.high))
                self.offer(x)
                bound = max(bound, least)
            if bound >= self._target() or not box.divisible:
                closed = min(closed, bound)
                continue
            for low, high in self._halves(box):
                closed = min(closed, add(low, high, bound))
        left = min((box.bound for box in heap), default=math.inf)
        self._raise(min(left, closed, self.value))
        if self.x is None and self.clock.over():
            raise TimeoutError
        return Infeasible(None, "search", self.clock.seconds) if self.x is None else None

    def _halves(self, box: Open) -> Iterator[tuple[Point, Point]]:
        """The box divided along the edge that changes the best choice's cost the most, but along
        levels as long as these are far apart."""
        links = self._weight_of_links(box)
        levels = np.where(box.stretch > NARROW, np.log(box.stretch), 0.0)
        if (box.stretch > WIDE).any() or levels.max() > links.max():
            k = int(levels.argmax())
            middle = math.sqrt(
                max(box.low.level[k], box.high.level[k] * LOWEST) * box.high.level[k]
            )
            lower, upper = box.high.level.copy(), box.low.level.copy()
            lower[k] = upper[k] = middle
            yield box.low, Point(lower, box.high.use)
            yield Point(upper, box.low.use), box.high
            return
        edge = np.unravel_index(int(links.argmax()), links.shape)
        below, above = box.high.use.copy(), box.low.use.copy()
        below[edge] = above[edge] = (box.low.use[edge] + box.high.use[edge]) / 2
        yield box.low, Point(box.high.level, below)
        yield Point(box.low.level, above), box.high

    def _weight_of_links(self, box: Open) -> FloatArray:
        """float64[2, K]: by how much a step of the best choice, or of any, lengthens along each
        edge; 0 for an edge that is not divided."""
        wide = box.high.use - box.low.use > THIN
        columns = np.flatnonzero(self.x) if self.x is not None else np.arange(len(self.program.up))
        used = self.program.only(columns)
        alone = used.at_most(box.low.use).elsewhere
        weights = np.zeros(wide.shape)
        for edge in zip(*np.nonzero(wide), strict=True):
            use = box.low.use.copy()
            use[edge] = box.high.use[edge]
            longer = used.at_most(use).elsewhere[alone > 0] / alone[alone > 0]
            weights[edge] = float(longer.max(initial=1.0)) - 1
        return np.where(wide, np.maximum(weights, TINY), 0.0)

    def _target(self) -> float:
        """What costs at least this much is not worth looking for."""
        return self.value - GAP * abs(self.value) if self.x is not None else math.inf

    def _solve(self, program: Program, level: FloatArray) -> None:
        """Choices at `level` and the program's traffic, then at what each of them makes: queues and
        links that are shorter and emptier, where more may be asked of C5_server_compute and C6."""
        for _ in range(TRIES):
            x, _ = self.goal.solve(program, level)
            if x is None:
                return
            value = self.value
            own, lower = self.offer(x)
            if self.value < value and np.allclose(own.elsewhere, program.elsewhere, rtol=1e-6):
                return
            use = (own.link_use + program.link_use) / 2
            program, level = own.with_use(use), np.minimum(lower, level)

    def offer(self, x: IntArray | None) -> tuple[Program, FloatArray]:
        """x at its own traffic and levels; kept if it keeps all limits and is the best so far."""
        if x is None:
            return self.program, self.level
        own, level = with_own_traffic(self.program, x)
        if holds(own, x, level):
            value = self.goal.value(own, x, level)
            if value < self.value:
                self.x, self.program, self.level, self.value = x, own, level, value
                self._report()
        return own, level

    def _raise(self, bound: float) -> None:
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.value, self.bound))


def first_levels(
    level: FloatArray, lowest: FloatArray, highest: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """All levels from `lowest` to `highest` in boxes, one of them around `level`."""
    edges = [
        sorted({low, *np.clip([middle / SPREAD, middle * SPREAD], low, high).tolist(), high})
        for middle, low, high in zip(level.tolist(), lowest.tolist(), highest.tolist(), strict=True)
    ]
    for spans in itertools.product(*(itertools.pairwise(edge) for edge in edges)):
        low, high = zip(*spans, strict=True)
        yield np.array(low), np.array(high)
