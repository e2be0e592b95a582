"""The program of a fleet at each level of its servers, from arrays that are aggregated once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from .queueing import Demand, Steps, at_level, between_levels, steady_level
from .solver.problem import BoolArray, FloatArray, IntArray, Problem

QUEUE = "C5_server_queue"
MOST_CORNERS = 8


@dataclass(frozen=True, eq=False)
class Leveled:
    """N columns, each at one of S servers. The level of a server is the seconds that a visit from
    outside would wait there: costs rise with it, and what columns ask of its row falls.

    A column may be pruned only where another one is no worse in `Demand.pruning_measures` too.
    """

    problem: Problem
    """Costs and rows that no wait changes."""
    seconds_price: FloatArray
    """float64[N], >= 0: what a second of a member's step costs, on top of the problem's costs."""
    demand: Demand
    server: IntArray
    """int64[N]: 0 to S - 1."""
    workers: tuple[int, ...]
    """Accelerators of each of the S servers."""
    deadline_seconds: float = np.inf
    """Columns whose steps take longer are out."""

    @property
    def servers(self) -> int:
        return len(self.workers)

    def take(self, columns: IntArray) -> Leveled:
        """Only the given columns (sorted); each group must keep at least one."""
        return replace(
            self,
            problem=self.problem.keep(columns),
            seconds_price=self.seconds_price[columns],
            demand=self.demand.take(columns),
            server=self.server[columns],
        )

    def within(self, seconds: float) -> Leveled:
        return replace(self, deadline_seconds=min(seconds, self.deadline_seconds))

    def seconds(self, levels: FloatArray) -> FloatArray:
        """float64[N]: of a step at the given levels, float64[S]."""
        return self._steps(levels).seconds

    def allowed(self, levels: FloatArray) -> BoolArray:
        """bool[N]: which columns keep the deadline; fewer do at higher levels."""
        return self.seconds(levels) <= self.deadline_seconds

    def at(self, levels: FloatArray) -> Problem:
        return self._with(self._steps(levels))

    def corners(self, low: FloatArray, high: FloatArray) -> list[Problem]:
        """Problems between which straight lines run below those of all levels of the box: at given
        prices, the least bound among the corners holds in all of it."""
        if 2**self.servers > MOST_CORNERS:
            first, last = self._steps(low), self._steps(high)
            return [self._with(Steps(first.seconds, last.share))]
        ends = self._ends(low, high)
        free = [(0, 1) if a < b else (1,) for a, b in zip(low, high, strict=True)]
        corners = []
        for corner in itertools.product(*free):
            end = np.array(corner, dtype=bool)[self.server]
            seconds = np.where(end, ends[1].seconds, ends[0].seconds)
            share = np.where(end, ends[1].share, ends[0].share)
            corners.append(self._with(Steps(seconds, share)))
        return corners

    def widest(self, low: FloatArray, high: FloatArray) -> Problem:
        """Costs at the lowest levels of the box and rows at the highest."""
        return self._with(Steps(self._steps(low).seconds, self._steps(high).share))

    def settle(self, x: IntArray) -> FloatArray:
        """float64[S]: the least levels that the servers keep under x, int64[N]."""
        levels = np.zeros(self.servers)
        for k, workers in enumerate(self.workers):
            here = np.flatnonzero((self.server == k) & (x > 0))
            if len(here):
                levels[k] = steady_level(self.demand.take(here), x[here], workers)
        return levels

    def highest(self) -> FloatArray:
        """float64[S]: levels that the servers keep whatever the columns are."""
        problem, levels = self.problem, np.zeros(self.servers)
        for k, workers in enumerate(self.workers):
            here = self.server == k
            asked = np.where(here, self.demand.server_seconds / workers, 0.0)
            level = float(problem.counts @ np.maximum.reduceat(asked, problem.offsets[:-1]))
            while level > 0:
                share = np.where(here, at_level(self.demand, level, workers).share, 0.0)
                if problem.counts @ np.maximum.reduceat(share, problem.offsets[:-1]) <= 1:
                    break
                level *= 2
            levels[k] = level
        return levels

    def _with(self, steps: Steps) -> Problem:
        problem, many = self.problem, self.servers > 1
        queues = [np.where(self.server == k, steps.share, 0.0) for k in range(self.servers)]
        names = [f"{QUEUE}_{k}" if many else QUEUE for k in range(self.servers)]
        return Problem(
            problem.counts,
            problem.offsets,
            problem.cost + self.seconds_price * steps.seconds,
            np.stack([*problem.weights, *queues]),
            np.array([*problem.caps, *np.ones(self.servers)]),
            (*problem.rows, *names),
        )

    def _steps(self, levels: FloatArray) -> Steps:
        if self.servers == 1:
            return at_level(self.demand, float(levels[0]), self.workers[0])
        steps = Steps(np.empty(self.problem.columns), np.empty(self.problem.columns))
        for k, workers in enumerate(self.workers):
            here = np.flatnonzero(self.server == k)
            part = at_level(self.demand.take(here), float(levels[k]), workers)
            steps.seconds[here], steps.share[here] = part.seconds, part.share
        return steps

    def _ends(self, low: FloatArray, high: FloatArray) -> tuple[Steps, Steps]:
        columns = self.problem.columns
        ends = tuple(Steps(np.empty(columns), np.empty(columns)) for _ in range(2))
        for k, workers in enumerate(self.workers):
            here = np.flatnonzero(self.server == k)
            asked = self.demand.take(here)
            parts = between_levels(asked, float(low[k]), float(high[k]), workers)
            for end, part in zip(ends, parts, strict=True):
                end.seconds[here], end.share[here] = part.seconds, part.share
        return ends[0], ends[1]
