"""Large fleets: the search sees a few columns of each client, the proof all of them.

Column generation in its plainest form (Dantzig and Wolfe, Operations Research 8, 1960). Prices of
the shared rows are guessed on a sample of the clients; at these prices each client keeps its
cheapest columns, and the search runs on those. A choice of the few is a choice of all, but a bound
of theirs is not: planner/pricing_proof.py takes it over all columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .best import Best
from .build import Builder
from .cheapest_levels import cheapest_levels
from .choice import Choice
from .goal import Goal, Sum
from .goal_slowest import Slowest
from .grid import grid
from .links import with_own_traffic
from .options import Options, cheapest
from .pricing_goal import OfSlowest, OfSum
from .pricing_proof import bound_of_all
from .program import Program
from .queues import kept
from .search import Search
from .solver.clock import Clock
from .solver.core import PROVEN_GAP
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import BoolArray, FloatArray, Problem
from .solver.solve import OnProgress

FROM_COLUMNS = 50_000
"""Smaller fleets are searched with all columns."""
FOR_LEVEL, FOR_PRICES = 200, 1000
"""Client entries in the samples that these are taken from."""
ROUGH = 1.2
"""Last factor between the levels that are tried."""
FACTORS = (0.5, 0.7, 1.0, 1.4)
"""Of the prices of a sample: those of all clients are thereabouts."""
FOR_SLOWEST = (0.0, 1.0, 8.0, 64.0)
"""The same where time counts for some clients, and for others what they leave to these."""
FEW = 3
"""Columns that a client keeps at each of these."""
FIND_GAP = 3e-5
"""To which the program of the few is solved."""
SETTLING = 3
PRICE_TOLERANCE = 1e-6


def large(builder: Builder) -> bool:
    """Whether this is worth its while."""
    columns = len(builder.clients) * len(builder.menu) * len(builder.servers)
    return columns >= FROM_COLUMNS and len(builder.objectives) == 1


def choose_by_pricing(
    builder: Builder, clock: Clock, on_progress: OnProgress | None = None, prove: bool = True
) -> Choice | None:
    """The best choice by the one objective of `builder`; None where this way led to none, or to
    none that is proven. Without `prove` the bound is -inf."""
    (objective,) = builder.objectives
    goal = Slowest(clock, FIND_GAP) if objective.slowest else Sum(0, clock, FIND_GAP)
    pick = Pick(builder, FOR_SLOWEST if objective.slowest else FACTORS, goal, clock)
    few = builder.narrowed(pick)
    search = Search(goal, few, clock, _without_bound(on_progress))
    best = search.best
    best.find(pick.level)
    if best.x is None:
        return None
    bound = -math.inf
    if prove:
        bound = _bound(builder, few, search, pick.traffic, clock)
        if best.value - bound > PROVEN_GAP * abs(best.value):
            return None
    return Choice(best.own, best.x, best.level, (bound,))


def _bound(
    builder: Builder, few: Program, search: Search, traffic: FloatArray, clock: Clock
) -> float:
    """Of all columns; where that doesn't prove the choice, a better one of the few comes first."""
    fullest, best = np.minimum(traffic, few.policy.server_utilisation), search.best

    def bound() -> float:
        kind = OfSlowest if builder.objectives[0].slowest else OfSum
        return bound_of_all(builder, few, best.level, fullest, kind(best.target), clock)

    found = bound()
    if found == -math.inf and not clock.over() and not _coarse(few, best):
        search.prove(best.level)
        found = bound()
    return found


def _coarse(few: Program, best: Best) -> bool:
    """Whether better choices differ by more than the gap: then bounds from prices, which divide
    members, seldom reach the target, and the search over all columns knows the values there are."""
    on = grid(few, 0)
    return on is not None and best.value - best.target < on.apart


def _without_bound(on_progress: OnProgress | None) -> OnProgress | None:
    """The search's bound is not one of all columns."""
    if on_progress is None:
        return None
    return lambda progress: on_progress(replace(progress, bound=-math.inf))


class Pick:
    """The cheapest columns of each client at the level, traffic and prices that suit a sample."""

    def __init__(
        self, builder: Builder, factors: Sequence[float], goal: Goal, clock: Clock
    ) -> None:
        self.builder, self.machines, self.factors = builder, builder.servers.count, factors
        self._traffic: list[FloatArray] = []
        program = builder.sample(FOR_LEVEL).unmerged()
        self.level = cheapest_levels(program, 0, clock, ROUGH)
        self.longest = math.inf
        """Seconds of a round, where the longest one counts: about the least that it can be."""
        if builder.objectives[0].slowest:
            first = Best(goal, program, clock, lambda: None)
            first.find(self.level)
            if first.x is not None:
                self.level, self.longest = first.level, first.value
        program = builder.sample(FOR_PRICES).unmerged()
        self.prices = np.zeros(len(program.at(self.level).caps))
        for _ in range(SETTLING):
            found = kept(program.at(self.level), program.in_time(self.level))
            if found is None:
                break
            best = maximise(
                Lagrangian(found.problem), PRICE_TOLERANCE, clock, start=self.prices
            ).best
            chosen = program.only(found.columns[best.chosen])
            own, _ = with_own_traffic(chosen, found.problem.counts)
            program = program.at_most(own.link_use)
            if np.array_equal(best.multipliers, self.prices):
                break
            self.prices = best.multipliers
        self.use = program.link_use

    def __call__(self, options: Options) -> BoolArray:
        """An option costs no less than it does without waiting or prices. So only those come into
        question that cost less there than the dearest of the few that are the cheapest there costs
        here."""
        self._traffic.append(options.most_traffic() / self.machines)
        near = self._priced(options, cheapest(options.least_cost, FEW))
        most = near.cost(max(self.factors), math.inf)
        enough = np.maximum.reduceat(most, near.problem.offsets[:-1])
        taken = options.possible & (options.least_cost <= enough[:, None, None])
        found, here = self._priced(options, taken), np.zeros(np.count_nonzero(taken), dtype=bool)
        late = 1 + np.ptp(found.own) + max(self.factors) * np.ptp(found.paid)
        for factor in self.factors:
            here |= cheapest_columns(found.problem, found.cost(factor, late), FEW)
        taken[taken] = here
        return taken

    @property
    def traffic(self) -> FloatArray:
        """float64[2, K]: the most of all clients that it was asked about, in whatever order."""
        return np.sum(np.sort(self._traffic, axis=0), axis=0)

    def _priced(self, options: Options, taken: BoolArray) -> _Priced:
        there = self.builder.part(options, taken).at_most(self.use)
        problem = there.at(self.level)
        late = ~there.in_time(self.level)
        if self.longest < math.inf:
            late |= there.round_seconds(self.level) >= self.longest
        return _Priced(problem, self.prices @ problem.weights, late)


@dataclass(frozen=True, eq=False)
class _Priced:
    """Columns at one level; float64[N] each."""

    problem: Problem
    paid: FloatArray
    """At the prices of the rows."""
    late: BoolArray
    """Whether a column takes too long."""

    @property
    def own(self) -> FloatArray:
        return self.problem.cost

    def cost(self, factor: float, late: float) -> FloatArray:
        """With that multiple of the prices, and `late` on top for who takes too long."""
        cost = self.own + factor * self.paid
        cost[self.late] += late
        return cost


def cheapest_columns(problem: Problem, cost: FloatArray, most: int) -> BoolArray:
    """bool[N]: `most` columns of each group, the cheapest ones by `cost`, float64[N]; more of them
    where some cost the same, fewer where there are no more."""
    sizes = np.diff(problem.offsets)
    many = sizes > most
    open_columns = np.repeat(many, sizes)
    taken = ~open_columns
    if many.any():
        there = np.arange(sizes.max()) < sizes[many, None]
        table = np.full(there.shape, np.inf)
        table[there] = cost[open_columns]
        last = np.partition(table, most - 1, axis=1)[:, most - 1, None]
        taken[open_columns] = (table <= last)[there]
    return taken
