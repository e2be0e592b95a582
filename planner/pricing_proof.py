"""The bound of a search that saw few columns of each client, taken over all columns.

The levels and links' uses are divided into boxes until prices λ of the few columns bound each one
(planner/search.py says why few boxes are enough). The same prices then bound all columns. For a
sum that is

    L(λ) = Σ_clients min over all of their columns of [cost + λ · asked] − λ · caps,

taken some clients at a time, so that not all columns are in memory at once. Where that falls short
of what is to be proven, λ is bettered for the few columns, then the box divided, and at last λ
bettered for all.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .boxes import Boxes
from .build import Builder
from .corners import Point
from .division import first_levels
from .options import Options, cheapest
from .pricing_goal import Pricing, Whole
from .pricing_leaf import ROUNDING, Leaf
from .program import Program
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.problem import BoolArray, FloatArray

NEAR = 2
"""Columns of each client by which others are ruled out."""
MOST_DIVIDED = 16
"""Leaves: a proof that needs more is sooner done by the search over all columns."""
SPARE = 5e-5
"""Relative: by so much the few columns are to show more than the target where they can, as all
columns show less."""


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
    if not pricing.by_cost and len(builder.stuck(pricing.usable)):
        return pricing.target
    levels = first_levels(level, np.zeros_like(level), builder.most_level)
    empty = np.zeros_like(fullest)
    first = [Leaf(Point(low, empty), Point(high, fullest), None) for low, high in levels]
    leaves = _divided(few, first, pricing, clock)
    if leaves is None:
        return -math.inf
    ties, closed, left = itertools.count(), math.inf, MOST_DIVIDED
    heap: list[tuple[float, int, Leaf, bool]] = []

    def add(new: Sequence[Leaf], least: float, divided: bool) -> None:
        for leaf, bound in zip(new, _bounds(builder, new, pricing), strict=True):
            heapq.heappush(heap, (max(least, bound), next(ties), leaf, divided))

    add(leaves, -math.inf, False)
    while heap and heap[0][0] < pricing.target and left and not clock.over():
        bound, _, leaf, divided = heapq.heappop(heap)
        before, leaf = leaf, _of_few(few, leaf, pricing, clock)
        if leaf is not before:
            bound = max(bound, *_bounds(builder, [leaf], pricing))
        if divided and bound < pricing.target:
            better, leaf = _of_all(builder, few, leaf, pricing, clock)
            bound = max(bound, better)
        halves = list(leaf.halves(few)) if bound < pricing.target else []
        if halves:
            left -= 1
            add(halves, bound, True)
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
    enough = pricing.target + SPARE * abs(pricing.target)
    while todo:
        leaf = todo.pop()
        lagrangian, bound = pricing.lagrangian(leaf.of(boxes)), math.inf
        if lagrangian is not None:
            known, bound = pricing.best(lagrangian, known, clock, enough)
        if bound >= pricing.target:
            done.append(replace(leaf, prices=known))
            continue
        halves = list(leaf.halves(few))
        if not halves or len(done) + len(todo) > pricing.most_leaves or clock.over():
            return None
        todo += halves
    return done


def _bounds(builder: Builder, leaves: Sequence[Leaf], pricing: Pricing) -> list[float]:
    """Of all columns in each leaf at its prices."""
    terms = builder.each(lambda options: _terms(builder, options, leaves, pricing))
    return [pricing.bound(math.fsum(of_leaf)) for of_leaf in zip(*terms, strict=True)]


def _terms(
    builder: Builder, options: Options, leaves: Sequence[Leaf], pricing: Pricing
) -> list[float]:
    """What some clients add to the bound of each leaf; inf where it has no choice that is better
    than the target."""
    usable = pricing.usable(options)
    if not usable.any(axis=(1, 2)).all():
        return [math.inf] * len(leaves)
    if pricing.by_cost:
        usable = usable & may_matter(builder, options, leaves, pricing)
    boxes = Boxes(builder.part(options, usable))
    return [leaf.term(boxes, pricing) for leaf in leaves]


def may_matter(
    builder: Builder, options: Options, leaves: Sequence[Leaf], pricing: Pricing
) -> BoolArray:
    """[n, O, K]: the options that a few of each client don't rule out in all leaves."""
    near = Boxes(builder.part(options, cheapest(options.least_cost, NEAR)))
    bars = [leaf.bar(near, options, pricing) for leaf in leaves]
    return options.possible & (options.least_cost <= functools.reduce(np.maximum, bars))


def _of_few(few: Program, leaf: Leaf, pricing: Pricing, clock: Clock) -> Leaf:
    """With the best prices for the few columns; the same leaf where it has these."""
    lagrangian = pricing.lagrangian(leaf.of(Boxes(few)))
    if lagrangian is None:
        return leaf
    prices, _ = pricing.best(lagrangian, leaf.prices, clock, math.inf)
    return leaf.priced(prices)


def _of_all(
    builder: Builder, few: Program, leaf: Leaf, pricing: Pricing, clock: Clock
) -> tuple[float, Leaf]:
    """The bound of the best prices for all columns, and the leaf with these. It takes the memory
    of all columns."""
    parts: list[Lagrangian] = []
    for part in builder.each(lambda options: builder.part(options, options.possible)):
        lagrangian = pricing.lagrangian(leaf.of(Boxes(part)))
        if lagrangian is None:
            return math.inf, leaf
        parts.append(lagrangian)
    whole = Whole(parts, leaf.of(Boxes(few)).lowest())
    prices, bound = pricing.best(whole, leaf.prices, clock, pricing.target)
    return bound, replace(leaf, prices=prices)
