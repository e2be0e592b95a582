"""The bound of a search that saw few columns of each client, taken over all columns.

The levels and links' uses are divided into boxes until prices λ of the few columns bound each one
(planner/search.py says why few boxes are enough). The same prices then bound all columns,

    L(λ) = Σ_clients min over all of their columns of [cost + λ · asked] − λ · caps,

summed up some clients at a time, so that not all columns are in memory at once. Where that falls
short of what is to be proven, λ is bettered, and then the box divided.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .boxes import Box, Boxes
from .build import Builder
from .corners import Point
from .division import LOWEST, Edge, cut, edges, first_levels, flat
from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.lagrangian import Evaluation, Lagrangian
from .solver.multipliers import maximise
from .solver.problem import FloatArray, Problem

ROUNDING = 1e-12
"""Of a bound: more than what summing it up part by part may add."""

MOST_LEAVES = 100


@dataclass(frozen=True, eq=False)
class Leaf:
    """A box, and prices for it."""

    low: Point
    high: Point
    prices: FloatArray | None

    def of(self, boxes: Boxes) -> Box:
        return boxes.box(self.low, self.high)

    def halves(self, few: Program) -> Iterator[Leaf]:
        """Divided along the level or the link's use that changes steps the most; none where it is
        too small for that."""
        found = edges(self.low, self.high)
        if found:
            edge = max(found, key=lambda edge: self._change(few, edge))
            for low, high in cut(self.low, self.high, edge):
                yield replace(self, low=low, high=high)

    def _change(self, few: Program, edge: Edge) -> float:
        low, high = flat(self.low, self.high, edge, self.low)[1], self.high
        if edge[0] == 0:
            return float(
                high.level[edge[1]] / max(low.level[edge[1]], LOWEST * high.level[edge[1]])
            )
        shorter, longer = (few.at_most(end.use).elsewhere for end in (low, high))
        return float((longer / shorter).max())


def bound_of_all(
    builder: Builder,
    few: Program,
    level: FloatArray,
    fullest: FloatArray,
    target: float,
    clock: Clock,
) -> float:
    """No choice of all columns costs less; -inf where the few columns alone cost less than
    `target`, by as far as the boxes say.

    `few` are some of the columns; `level` is about the best one, float64[K]; links are up to
    `fullest` full, float64[2, K].
    """
    levels = first_levels(level, np.zeros_like(level), builder.most_level)
    empty = np.zeros_like(fullest)
    first = [Leaf(Point(low, empty), Point(high, fullest), None) for low, high in levels]
    leaves = _divided(few, first, target, clock)
    if leaves is None:
        return -math.inf
    ties, closed = itertools.count(), math.inf
    heap: list[tuple[float, int, Leaf]] = []

    def add(new: Sequence[Leaf], least: float) -> None:
        for leaf, bound in zip(new, _bounds(builder, new), strict=True):
            heapq.heappush(heap, (max(least, bound), next(ties), leaf))

    add(leaves, -math.inf)
    while heap and heap[0][0] < target and not clock.over():
        bound, _, leaf = heapq.heappop(heap)
        better, leaf = _bettered(builder, few, leaf, target, clock)
        bound = max(bound, better)
        halves = list(leaf.halves(few)) if bound < target else []
        if halves:
            add(halves, bound)
        else:
            closed = min(closed, bound)
    found = min(closed, heap[0][0] if heap else math.inf)
    return found - ROUNDING * abs(found)


def _divided(
    few: Program, leaves: Sequence[Leaf], target: float, clock: Clock
) -> list[Leaf] | None:
    """The same space in leaves with prices at which the few columns cost `target`; None where there
    are no such prices, or it takes too many leaves."""
    boxes, todo, done, known = Boxes(few), list(leaves), list[Leaf](), None
    while todo:
        leaf = todo.pop()
        box = leaf.of(boxes)
        found = kept(box.lowest(), box.in_time)
        if found is None:
            done.append(replace(leaf, prices=known))
            continue
        lagrangian = Lagrangian(found.problem)
        dual = maximise(lagrangian, DUAL_TOLERANCE, clock, start=known, enough=target)
        known = dual.best.multipliers
        if dual.best.bound >= target:
            done.append(replace(leaf, prices=known))
            continue
        halves = list(leaf.halves(few))
        if not halves or len(done) + len(todo) > MOST_LEAVES or clock.over():
            return None
        todo += halves
    return done


def _problem(part: Program, leaf: Leaf) -> Kept | None:
    box = leaf.of(Boxes(part))
    return kept(box.lowest(), box.in_time)


def _bounds(builder: Builder, leaves: Sequence[Leaf]) -> list[float]:
    """L of all columns in each leaf at its prices; inf where some client has no column in time."""
    sums: list[list[float]] = [[] for _ in leaves]
    for part in builder.parts():
        boxes = Boxes(part)
        for leaf, terms in zip(leaves, sums, strict=True):
            box = leaf.of(boxes)
            found = kept(box.lowest(), box.in_time)
            terms.append(math.inf if found is None else _lagrangian_at(found.problem, leaf.prices))
    return [math.fsum(terms) for terms in sums]


def _lagrangian_at(problem: Problem, prices: FloatArray | None) -> float:
    return Lagrangian(problem)(np.zeros(len(problem.caps)) if prices is None else prices).bound


def _bettered(
    builder: Builder, few: Program, leaf: Leaf, target: float, clock: Clock
) -> tuple[float, Leaf]:
    """Better prices for all columns, and their bound."""
    parts: list[Lagrangian] = []
    for part in builder.parts():
        found = _problem(part, leaf)
        if found is None:
            return math.inf, leaf
        parts.append(Lagrangian(found.problem))
    every = _AllColumns(parts, leaf.of(Boxes(few)).lowest())
    dual = maximise(every, DUAL_TOLERANCE, clock, start=leaf.prices, enough=target)
    return dual.best.bound, replace(leaf, prices=dual.best.multipliers)


@dataclass(frozen=True, eq=False)
class _AllColumns:
    """L of all columns in one leaf; `problem`, that of the few there, has its units."""

    parts: Sequence[Lagrangian]
    problem: Problem

    def __call__(self, multipliers: FloatArray, /) -> Evaluation:
        found = [part(multipliers) for part in self.parts]
        return Evaluation(
            multipliers,
            math.fsum(e.bound for e in found),
            np.concatenate([e.chosen for e in found]),
            np.sum([e.excess for e in found], axis=0),
        )
