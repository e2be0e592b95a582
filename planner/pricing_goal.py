"""What the proof over all columns asks of an objective (planner/pricing_proof.py).

A box is done where prices λ of the rows show that none of its choices is better than a target: for
a sum, where its Lagrangian L(λ) is at least the target; for the slowest client, where the rows are
exceeded by all choices among the columns that take less than the target. Both are sums over the
clients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .boxes import Box
from .options import Options
from .queues import DUAL_TOLERANCE, kept
from .solver.clock import Clock
from .solver.lagrangian import Evaluation, Lagrangian
from .solver.multipliers import infeasibility, maximise
from .solver.problem import BoolArray, FloatArray, Problem


@dataclass(frozen=True, eq=False)
class Whole:
    """L of several parts together; `problem`, of some of their columns, has its units."""

    parts: Sequence[Lagrangian]
    problem: Problem

    def __call__(self, multipliers: FloatArray, deadline: float = math.inf, /) -> Evaluation:
        found = [part(multipliers, deadline) for part in self.parts]
        return Evaluation(
            multipliers,
            math.fsum(e.bound for e in found),
            np.concatenate([e.chosen for e in found]),
            np.sum([e.excess for e in found], axis=0),
        )


class Pricing(Protocol):
    @property
    def target(self) -> float:
        """What choices have to beat."""

    @property
    def by_cost(self) -> bool:
        """Whether the rows' prices are set against the columns' costs."""

    @property
    def most_leaves(self) -> int:
        """Boxes that a space is divided into where prices can be found; more of them hardly ever
        help."""

    def usable(self, options: Options) -> BoolArray:
        """[n, O, K]: the options that choices better than the target may take."""

    def lagrangian(self, box: Box, prices: FloatArray | None = None) -> Lagrangian | None:
        """Of a part's columns in a box; None where no choice there is better. With `prices` of
        its first rows, without the rows that have none."""

    def best(
        self,
        whole: Whole | Lagrangian,
        start: FloatArray | None,
        clock: Clock,
        enough: float,
    ) -> tuple[FloatArray, float]:
        """Prices that show the most, and the bound on all choices that they show; one of `enough`
        need not be raised any further."""

    def term(self, lagrangian: Lagrangian, prices: FloatArray) -> float:
        """What a part adds to a sum."""

    def bound(self, total: float) -> float:
        """What the sum of all parts says of all choices."""


@dataclass(frozen=True)
class OfSum:
    target: float
    by_cost = True
    most_leaves = 25

    def usable(self, options: Options) -> BoolArray:
        return options.possible

    def lagrangian(self, box: Box, prices: FloatArray | None = None) -> Lagrangian | None:
        found = kept(box.lowest(prices=prices), box.in_time)
        return None if found is None else Lagrangian(found.problem)

    def best(
        self,
        whole: Whole | Lagrangian,
        start: FloatArray | None,
        clock: Clock,
        enough: float,
    ) -> tuple[FloatArray, float]:
        dual = maximise(whole, DUAL_TOLERANCE, clock, start=start, enough=enough)
        return dual.best.multipliers, dual.best.bound

    def term(self, lagrangian: Lagrangian, prices: FloatArray) -> float:
        return lagrangian.bound(prices)

    def bound(self, total: float) -> float:
        return total


@dataclass(frozen=True)
class OfSlowest:
    target: float
    by_cost = False
    most_leaves = 4

    def usable(self, options: Options) -> BoolArray:
        return options.possible & (options.numbers["rounds"] * options.seconds < self.target)

    def lagrangian(self, box: Box, prices: FloatArray | None = None) -> Lagrangian | None:
        found = kept(box.lowest(prices=prices), box.in_time)
        if found is None:
            return None
        times = box.round_seconds[found.columns]
        if np.minimum.reduceat(times, found.problem.offsets[:-1]).max() >= self.target:
            return None
        return Lagrangian(found.problem, priced=False, times=times)

    def best(
        self,
        whole: Whole | Lagrangian,
        start: FloatArray | None,
        clock: Clock,
        enough: float,
    ) -> tuple[FloatArray, float]:
        found, impossible = infeasibility(whole, clock, self.target, start)
        return found.multipliers, self.target if impossible else -math.inf

    def term(self, lagrangian: Lagrangian, prices: FloatArray) -> float:
        return lagrangian.bound(prices, self.target)

    def bound(self, total: float) -> float:
        return self.target if total > 0 else -math.inf
