"""The bound of a search that saw few columns of each client, taken over all columns.

The levels and links' uses are divided into boxes until prices λ of the few columns bound each one
(planner/search.py says why few boxes are enough). The same prices then bound all columns. For a
sum that is

    L(λ) = Σ_clients min over all of their columns of [cost + λ · asked] − λ · caps,

taken some clients at a time, so that not all columns are in memory at once. Where that falls short
of what is to be proven, λ is bettered, and then the box divided.
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
from .pricing_goal import Pricing, Whole
from .program import Program
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.problem import FloatArray

ROUNDING = 1e-12
"""Of a bound: more than what summing it up part by part may add."""

MOST_LEAVES = 100
NO_PRICES = np.zeros(0)


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
    pricing: Pricing,
    clock: Clock,
) -> float:
    """No choice of all columns costs less; -inf where the boxes say that the few columns alone may
    cost less than the target.

    `few` are some of the columns; `level` is about the best one, float64[K]; links are up to
    `fullest` full, float64[2, K].
    """
    levels = first_levels(level, np.zeros_like(level), builder.most_level)
    empty = np.zeros_like(fullest)
    first = [Leaf(Point(low, empty), Point(high, fullest), None) for low, high in levels]
    leaves = _divided(few, first, pricing, clock)
    if leaves is None:
        return -math.inf
    ties, closed = itertools.count(), math.inf
    heap: list[tuple[float, int, Leaf]] = []

    def add(new: Sequence[Leaf], least: float) -> None:
        for leaf, bound in zip(new, _bounds(builder, new, pricing), strict=True):
            heapq.heappush(heap, (max(least, bound), next(ties), leaf))

    add(leaves, -math.inf)
    while heap and heap[0][0] < pricing.target and not clock.over():
        bound, _, leaf = heapq.heappop(heap)
        better, leaf = _bettered(builder, few, leaf, pricing, clock)
        bound = max(bound, better)
        halves = list(leaf.halves(few)) if bound < pricing.target else []
        if halves:
            add(halves, bound)
        else:
            closed = min(closed, bound)
    found = min(closed, heap[0][0] if heap else math.inf)
    return found - ROUNDING * abs(found)


def _divided(
    few: Program, leaves: Sequence[Leaf], pricing: Pricing, clock: Clock
) -> list[Leaf] | None:
    """The same space in leaves with prices at which the few columns reach the target; None where
    there are no such prices, or it takes too many leaves."""
    boxes, todo, done, known = Boxes(few), list(leaves), list[Leaf](), None
    while todo:
        leaf = todo.pop()
        lagrangian, bound = pricing.lagrangian(leaf.of(boxes)), math.inf
        if lagrangian is not None:
            known, bound = pricing.best(lagrangian, known, clock)
        if bound >= pricing.target:
            done.append(replace(leaf, prices=known))
            continue
        halves = list(leaf.halves(few))
        if not halves or len(done) + len(todo) > MOST_LEAVES or clock.over():
            return None
        todo += halves
    return done


def _bounds(builder: Builder, leaves: Sequence[Leaf], pricing: Pricing) -> list[float]:
    """Of all columns in each leaf at its prices."""
    sums: list[list[float]] = [[] for _ in leaves]
    for part in builder.parts():
        boxes = Boxes(part)
        for leaf, terms in zip(leaves, sums, strict=True):
            if math.inf in terms[-1:]:
                continue
            prices = NO_PRICES if leaf.prices is None else leaf.prices
            lagrangian = pricing.lagrangian(leaf.of(boxes), prices)
            if lagrangian is None:
                terms.append(math.inf)
            else:
                terms.append(pricing.term(lagrangian, prices[prices > 0]))
    return [pricing.bound(math.fsum(terms)) for terms in sums]


def _bettered(
    builder: Builder, few: Program, leaf: Leaf, pricing: Pricing, clock: Clock
) -> tuple[float, Leaf]:
    """The bound of better prices for all columns, and the leaf with these."""
    parts: list[Lagrangian] = []
    for part in builder.parts():
        lagrangian = pricing.lagrangian(leaf.of(Boxes(part)))
        if lagrangian is None:
            return math.inf, leaf
        parts.append(lagrangian)
    whole = Whole(parts, leaf.of(Boxes(few)).lowest())
    prices, bound = pricing.best(whole, leaf.prices, clock)
    return bound, replace(leaf, prices=prices)
