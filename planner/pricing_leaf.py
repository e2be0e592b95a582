"""A box of levels and links' uses, and the prices by which it is bounded.

Whatever the queues and links, an option costs no less than it does without waiting, and rows only
add to that, but for those that say how much of a queue or a link is filled at the least: these pay
for what an option fills. It fills no more than

    of a queue  min(1, S / (G · r · P))      of a link  its transfer / P

with the step P without waiting and the utilisation r of an open queue at the box's low level
(planner/queueing.py): ρ ≥ r and T ≥ P. So an option doesn't matter that costs more without waiting
and prices than another one of the same client with them, by more than what it may be paid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from . import queueing
from .boxes import Box, Boxes
from .corners import Point
from .division import LOWEST, Edge, cut, edges, flat
from .options import Options
from .pricing_goal import Pricing
from .program import Program
from .solver.problem import FloatArray

ROUNDING = 1e-12
"""Relative, of a sum: more than what adding it up in another order may change."""
NO_PRICES = np.zeros(0)


@dataclass(frozen=True, eq=False)
class Leaf:
    low: Point
    high: Point
    prices: FloatArray | None

    def of(self, boxes: Boxes) -> Box:
        return boxes.box(self.low, self.high)

    def priced(self, prices: FloatArray) -> Leaf:
        """With other prices; the same leaf where it has these."""
        return self if np.array_equal(prices, self._known) else replace(self, prices=prices)

    def term(self, boxes: Boxes, pricing: Pricing) -> float:
        """What a part adds to the bound; inf where no choice is better than the target."""
        found = pricing.lagrangian(self.of(boxes), self._known)
        return math.inf if found is None else pricing.term(found, self._positive)

    def bar(self, near: Boxes, options: Options, pricing: Pricing) -> FloatArray | float:
        """[n, O, K] or what broadcasts to it: what an option costs without waiting and prices that
        costs more than some column of its client, of those `near`, does with them."""
        box = self.of(near)
        found = pricing.lagrangian(box, self._known)
        if found is None:
            return math.inf
        least = found.least(self._positive)[:, None, None]
        paid = self._paid(box.rewards(self._known), options, near.program)
        return least + paid + ROUNDING * (np.abs(least) + paid)

    def _paid(self, rewards: FloatArray, options: Options, near: Program) -> FloatArray | float:
        """[n, O, K]: at the most, by what `Box.rewards` says, float64[3, K]."""
        if not rewards.any():
            return 0.0
        numbers, seconds = options.numbers, options.seconds
        paid, queue = np.zeros_like(seconds), rewards[0]
        for way, reward in zip(("up", "down"), rewards[1:], strict=True):
            if reward.any():
                paid += reward * numbers[f"{way}_share"] * numbers[way] / seconds
        for k in np.flatnonzero(queue).tolist():
            service, visit = (numbers[name][:, :, k] for name in ("service", "visit"))
            level, workers = float(self.low.level[k]), int(near.servers.accelerators[k])
            share = queueing.most_share(seconds[:, :, k], service, visit, level, workers)
            paid[:, :, k] += queue[k] * share
        return paid

    @property
    def _known(self) -> FloatArray:
        return NO_PRICES if self.prices is None else self.prices

    @property
    def _positive(self) -> FloatArray:
        return self._known[self._known > 0]

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
