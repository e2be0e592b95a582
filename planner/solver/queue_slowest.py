"""The least time that the slowest member can take at the levels that the choice itself makes.

A target is out of reach where no box of levels admits it. A box doesn't where one combination of
its rows, or an integer program, proves that no choice keeps the rows of its highest levels with
steps that keep the target at its lowest ones. Boxes that may admit it are halved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .clock import Clock
from .lagrangian import Lagrangian
from .multipliers import infeasibility
from .problem import FloatArray, IntArray
from .queue_cap import GAP, SMALLEST, Queued, minimise_with_queue
from .queue_family import Family, Part, begun_rows
from .rounding import round_to_feasible
from .slowest import ANY_GAP, Slowest
from .solve import Infeasible, Progress, minimise, relative_gap

PILOTS = 6
TOTAL_GAP = 1e-3
"""Of the least total within the time, which only breaks ties."""


@dataclass(frozen=True, eq=False)
class QueuedSlowest:
    levels: FloatArray
    """float64[S]"""
    slowest: Slowest


def minimise_slowest_with_queue(
    family: Family,
    time_limit_seconds: float = 60.0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    gap: float = GAP,
) -> QueuedSlowest | Infeasible:
    """The least T with a choice in which nobody takes longer than T at the choice's own levels,
    and among those about the least total cost. Raises as `minimise_with_queue` does."""
    clock = Clock(time_limit_seconds, stop)
    search = _Search(family, clock, gap, on_progress)
    try:
        with clock.phase("slowest"):
            search.run()
    except KeyboardInterrupt:
        clock.stop()
        if search.counts is None:
            raise
    if search.counts is None:
        if clock.over():
            raise TimeoutError(f"neither a solution nor a proof in {clock.spent():.3g} s")
        return Infeasible(None, "search", clock.seconds)
    total = minimise_with_queue(
        family.within(search.seconds),
        clock.left(),
        on_progress,
        clock.over,
        TOTAL_GAP,
        search.counts,
    )
    assert isinstance(total, Queued)  # it began with one
    seconds = {**total.solution.seconds, **clock.seconds}
    solution = replace(total.solution, stopped=clock.stopped, seconds=seconds)
    reached = relative_gap(search.seconds, search.bound)
    slowest = Slowest(search.seconds, search.bound, reached, solution)
    return QueuedSlowest(total.levels, slowest)


class _Search:
    def __init__(
        self,
        family: Family,
        clock: Clock,
        gap: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.family, self.clock, self.gap, self.on_progress = family, clock, gap, on_progress
        self.top = family.highest()
        self.nothing = np.zeros_like(self.top)
        self.counts: IntArray | None = None
        self.levels = self.nothing
        self.seconds = math.inf
        fastest = np.minimum.reduceat(family.seconds(self.nothing), family.problem.offsets[:-1])
        self.bound = float(fastest.max())
        self.prices: FloatArray | None = None

    def run(self) -> None:
        self._pilot()
        boxes = [(self.nothing, self.top)]
        while boxes and not self.clock.over():
            low, high = boxes.pop()
            if self._ruled_out(low, high):
                continue
            middle = self._middle(low, high)
            self._try(middle)
            k = int(np.argmax((high - low) / (high + SMALLEST * self.top + math.ulp(0.0))))
            lower, upper = high.copy(), low.copy()
            lower[k] = upper[k] = middle[k]
            boxes += [(upper, high), (low, lower)]
        if not boxes:
            self.bound = max(self.bound, min(self._target(), self.seconds))
            self._report()

    def _target(self) -> float:
        return self.seconds * (1 - self.gap)

    def _middle(self, low: FloatArray, high: FloatArray) -> FloatArray:
        best = self.levels
        if (low < best).all() and (best < high).all():
            return best
        middle = np.where(low > 0, np.sqrt(low * high), high / 4)
        return np.where((low < middle) & (middle < high), middle, (low + high) / 2)

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.seconds, self.bound))

    def offer(self, counts: IntArray | None) -> bool:
        """A choice, at the least levels that its queues need; whether it is the best so far."""
        if counts is None:
            return False
        levels, used = self.family.settle(counts), np.flatnonzero(counts)
        taken = self.family.take(used)
        if not taken.allowed(levels).all() or not taken.at(levels).feasible(counts[used]):
            return False
        seconds = float(taken.seconds(levels).max())
        if seconds >= self.seconds:
            return False
        self.counts, self.levels, self.seconds = counts, levels, seconds
        self._report()
        return True

    def _pilot(self) -> None:
        """First choices: at the highest levels, then at those that each choice makes."""
        levels = self.top
        for _ in range(PILOTS):
            if not self._try(levels) or (self.levels >= levels * (1 - self.gap)).all():
                return
            levels = self.levels

    def _try(self, levels: FloatArray) -> bool:
        """Bisection over the times at these levels; whether it found the best choice so far."""
        part = Part.within(self.family.within(self._target()), levels)
        if part is None:
            return False
        times = part.family.seconds(levels)
        lagrangian = Lagrangian(part.family.at(levels), priced=False, times=times)
        slowest = np.minimum.reduceat(times, part.family.problem.offsets[:-1]).max()
        between = np.unique(times[times >= slowest])
        first, last, better = 0, len(between), False
        while first < last and not self.clock.over():
            middle = (first + last) // 2
            if self._fits(part, lagrangian, float(between[middle])):
                better, last = True, middle
            else:
                first = middle + 1
        return better

    def _fits(self, part: Part, lagrangian: Lagrangian, deadline: float) -> bool:
        best, impossible = infeasibility(lagrangian, self.clock, deadline, self.prices)
        self.prices = best.multipliers
        if impossible:
            return False
        reduced = lagrangian.reduced_costs(best, deadline)
        problem = lagrangian.problem
        counts = round_to_feasible(problem, best.chosen, reduced, self.clock, improve=False)
        self.offer(part.widen(counts))
        return counts is not None

    def _ruled_out(self, low: FloatArray, high: FloatArray) -> bool:
        """Whether no choice whose levels lie in the box keeps the target."""
        part = Part.within(self.family.within(self._target()), low)
        if part is None:
            return True
        problem = begun_rows(part.family, part.family.widest(low, high), low)
        lagrangian = Lagrangian(problem, priced=False)
        best, impossible = infeasibility(lagrangian, self.clock)
        if impossible:
            return True
        reduced = lagrangian.reduced_costs(best)
        counts = round_to_feasible(problem, best.chosen, reduced, self.clock, improve=False)
        if counts is None:
            try:
                found = minimise(problem, self.clock.left(), stop=self.clock.over, gap=ANY_GAP)
            except TimeoutError:
                return False
            if isinstance(found, Infeasible):
                return True
            counts = found.counts
        self.offer(part.widen(counts))
        return False
