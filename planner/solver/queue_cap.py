"""Columns and the levels of the queues that they form, minimised together and proven.

Costs rise with the levels, what columns ask of the rows falls. Over a box of levels the program is
bounded from below by straight lines between its corners. At given prices λ the least priced column
of each group is then a concave function of the levels, so the least L(λ) among the corners bounds
every solution whose levels lie in the box. Boxes are split, the lowest bound first, until none can
hold a better solution (Land and Doig, "An automatic method of solving discrete programming
problems", Econometrica 28, 1960). Where prices alone leave a gap, a box is solved as an integer
program with the costs of its lowest and the rows of its highest levels.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .clock import Clock
from .core import PROVEN_GAP
from .lagrangian import Lagrangian
from .multipliers import Dual, maximise
from .problem import FloatArray, IntArray
from .queue_family import Family, Part, begun_rows
from .rounding import round_to_feasible
from .solve import Infeasible, Progress, Solution, minimise, relative_gap

GAP = 0.95 * PROVEN_GAP
"""A smaller one takes many more boxes."""
PROGRAM = 0.55
"""Of the gap that is asked for: how far integer programs are solved."""
AIM = 0.8
"""Of the gap that is asked for: what the bound of each box should reach."""
LIGHT = 0.3
"""Of the gap that is asked for: what queues may cost to count as light."""
DUAL_TOLERANCE = 0.1
"""Of the gap that is asked for: how precisely prices are found."""
SMALLEST = 1e-3
"""Of the highest level: levels below are not told apart by their ratio."""
PILOTS = 12
CLOSE = 1.1
"""Pilots end where the best levels are known to this factor."""
STALE = 3
"""Prices are found anew for a box that was halved so often."""
WORTH = 0.5
"""A box is solved as integer programs where prices alone close at most this share of what is open;
it is split before."""
NUDGE = 1e-3
"""By how much levels change to see whether the bound rises or falls."""


@dataclass(frozen=True, eq=False)
class Queued:
    levels: FloatArray
    """float64[S]"""
    solution: Solution
    """Its value, bound and gap hold over all levels."""


@dataclass(order=True)
class _Box:
    bound: float
    low: FloatArray = field(compare=False)
    high: FloatArray = field(compare=False)
    prices: FloatArray | None = field(compare=False)
    peak: float = field(compare=False)
    """The bound at the levels where the prices are the best ones."""
    age: int = field(compare=False)
    """How often the box was halved since then."""
    charged: bool = field(compare=False, default=True)
    """Whether prices of the queues better its bound."""
    solved: bool = field(compare=False, default=False)
    """Whether the bound is that of integer programs."""


def minimise_with_queue(
    family: Family,
    time_limit_seconds: float = 60.0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    gap: float = GAP,
    start: IntArray | None = None,
) -> Queued | Infeasible:
    """The least Σ cost · x over all levels and all x that keep the rows at them, from a first
    choice `start` where there is one.

    After `stop()` or Ctrl-C the best found so far is returned. Raises TimeoutError where the search
    ended with neither a solution nor a proof that none exists.
    """
    clock = Clock(time_limit_seconds, stop)
    search = _Search(family, clock, gap, on_progress)
    search.offer(start)
    try:
        search.run()
    except KeyboardInterrupt:
        clock.stop()
        if search.counts is None:
            raise
    if search.counts is None or search.levels is None:
        if search.bound == math.inf:
            return Infeasible(None, "search", clock.seconds)
        raise TimeoutError(f"neither a solution nor a proof in {clock.spent():.3g} s")
    bound = min(search.bound, search.value)
    reached = relative_gap(search.value, bound)
    solution = Solution(
        counts=search.counts,
        value=search.value,
        bound=bound,
        gap=reached,
        status="optimal" if reached <= PROVEN_GAP else "feasible",
        stopped=clock.stopped,
        multipliers=search.multipliers,
        seconds=clock.seconds,
    )
    return Queued(search.levels, solution)


class _Search:
    def __init__(
        self,
        family: Family,
        clock: Clock,
        gap: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.family, self.clock, self.gap, self.on_progress = family, clock, gap, on_progress
        self.counts: IntArray | None = None
        self.levels: FloatArray | None = None
        self.value, self.bound = math.inf, -math.inf
        self.top = family.highest()
        self.multipliers = np.zeros(len(family.problem.caps) + len(self.top))
        self.boxes: list[_Box] = []

    def run(self) -> None:
        root = _Box(-math.inf, np.zeros_like(self.top), self.top, None, -math.inf, STALE)
        with self.clock.phase("no queues"):
            if self._light(root):
                self._report(min(root.bound, self.value))
                return
        with self.clock.phase("levels"):
            root.prices = self._pilot()
        self.boxes = [root]
        with self.clock.phase("boxes"):
            self._search()

    def _light(self, root: _Box) -> bool:
        """Whether the queues are so light that the best choice without them is the best one."""
        part = Part.within(self.family, root.low)
        if part is None:
            root.bound = math.inf
            return True
        problem = part.family.widest(root.low, root.high)
        lagrangian = Lagrangian(problem)
        dual = maximise(lagrangian, DUAL_TOLERANCE * self.gap, self.clock)
        if dual.infeasible:
            return False
        reduced = lagrangian.reduced_costs(dual.best)
        counts = round_to_feasible(problem, dual.best.chosen, reduced, self.clock)
        if counts is None or not self.offer(part.widen(counts)):
            return False
        if self.value - problem.value(counts) > LIGHT * self.gap * abs(self.value):
            return False
        root.bound = self._solve(part, root)
        return relative_gap(self.value, root.bound) <= self.gap

    def _search(self) -> None:
        """Look at boxes until the gap is closed or none is left."""
        while self.boxes and not self.clock.over():
            self._report(min(self.boxes[0].bound, self.value))
            if relative_gap(self.value, self.bound) <= self.gap:
                return
            self._look(heapq.heappop(self.boxes))
        self._report(min(self.boxes[0].bound, self.value) if self.boxes else self.value)

    def _report(self, bound: float) -> None:
        if bound > self.bound:
            self.bound = bound
        if self.on_progress is not None:
            self.on_progress(Progress(self.clock.spent(), self.value, self.bound))

    def _target(self) -> float:
        """Boxes with this bound need no further look; it leaves room for rounding."""
        return (
            self.value - AIM * self.gap * abs(self.value) if self.counts is not None else math.inf
        )

    def offer(self, counts: IntArray | None) -> bool:
        """A choice, at the least levels that its queues need; whether it is the best so far."""
        if counts is None:
            return False
        levels = self.family.settle(counts)
        used = np.flatnonzero(counts)
        taken = self.family.take(used)
        problem, x = taken.at(levels), counts[used]
        if not problem.feasible(x) or not taken.allowed(levels).all():
            return False
        value = problem.value(x)
        if value >= self.value:
            return False
        self.counts, self.levels, self.value = counts, levels, value
        return True

    def _pilot(self) -> FloatArray | None:
        """Prices and first solutions near the levels of the least bound, all levels in proportion:
        the bound falls towards it and rises beyond."""
        whole = Part(self.family, None, self.family.problem.columns)
        problem = self.family.at(np.zeros_like(self.top))
        cheapest = np.zeros(problem.columns, dtype=np.int64)
        cheapest[Lagrangian(problem)(np.zeros(len(problem.caps))).chosen] = problem.counts
        levels = np.minimum(self.family.settle(cheapest), self.top)
        levels = np.where(levels > 0, levels, SMALLEST * self.top)
        prices: FloatArray | None = None
        below, above, scale = 0.0, math.inf, 1.0
        for _ in range(PILOTS):
            dual = self._dual(whole, scale * levels, prices, np.zeros_like(levels))
            prices = dual.best.multipliers
            if dual.infeasible:
                below = scale
            else:
                nudged = self.family.at(scale * (1 + NUDGE) * levels)
                further = Lagrangian(begun_rows(self.family, nudged, np.zeros_like(levels)))(prices)
                slope = (further.bound - dual.best.bound) / NUDGE
                if abs(slope) <= DUAL_TOLERANCE * self.gap * abs(self.value):
                    break
                below, above = (below, scale) if slope > 0 else (scale, above)
            if self.clock.over() or above <= CLOSE * below:
                break
            if above == math.inf:
                scale = 2 * below
            else:
                scale = math.sqrt(below * above) if below > 0 else above / 2
        return prices

    def _dual(
        self, part: Part, levels: FloatArray, prices: FloatArray | None, low: FloatArray
    ) -> Dual:
        """The best prices at the levels among choices that need the levels `low` or higher, and
        solutions rounded from them."""
        problem = part.family.at(levels)
        lagrangian = Lagrangian(begun_rows(part.family, problem, low))
        tolerance = DUAL_TOLERANCE * self.gap
        dual = maximise(lagrangian, tolerance, self.clock, self.value, prices)
        self.multipliers = dual.best.multipliers[: len(problem.caps)]
        if not dual.infeasible and dual.best.bound < self._target():
            reduced = lagrangian.reduced_costs(dual.best)
            for pick in {id(e): e for e in (dual.best, *reversed(dual.picks))}.values():
                counts = round_to_feasible(problem, pick.chosen, reduced, self.clock)
                if self.offer(part.widen(counts)) and dual.best.bound >= self._target():
                    break
        return dual

    def _look(self, box: _Box) -> None:
        """A better bound for the box, or two halves of it; nothing where it holds no solution."""
        part = Part.within(self.family, box.low)
        if part is None:
            return
        if box.age == STALE:
            dual = self._dual(part, self._middle(box), box.prices, box.low)
            box.prices, box.peak, box.age = dual.best.multipliers, dual.best.bound, 0
            self._price(part, box)
        elif not box.solved and box.peak - box.bound <= WORTH * (self._target() - box.bound):
            box.bound, box.solved = max(box.bound, self._solve(part, box)), True
        else:
            for low, high in self._halves(box):
                half = _Box(box.bound, low, high, box.prices, box.peak, box.age + 1)
                narrower = Part.within(self.family, low)
                if narrower is not None:
                    self._price(narrower, half)
                    heapq.heappush(self.boxes, half)
            return
        if box.bound < math.inf:
            heapq.heappush(self.boxes, box)

    def _price(self, part: Part, box: _Box) -> None:
        """The bound of the box at its prices, or without those of the queues where that is better:
        over wide ranges of light queues it is."""
        if box.prices is None:
            return
        family, free = part.family, box.prices.copy()
        free[len(free) - 2 * len(box.low) :] = 0.0
        corners = [
            Lagrangian(begun_rows(family, corner, box.low))
            for corner in family.corners(box.low, box.high)
        ]
        priced, unpriced = (min(c(prices).bound for c in corners) for prices in (box.prices, free))
        box.bound = max(box.bound, priced, unpriced)
        box.charged = priced > unpriced

    def _solve(self, part: Part, box: _Box) -> float:
        """A bound by integer programs, inf where the box holds no solution.

        A choice whose least levels lie in the box keeps the queues' rows exactly there, so that
        they can be priced without loss; at the lowest levels it exceeds them.
        """
        corners = part.family.corners(box.low, box.high)
        queues = slice(len(corners[0].caps) - len(box.low), None)
        prices = np.zeros(len(box.low))
        if box.prices is not None and box.charged:
            prices = box.prices[queues.start : queues.start + len(box.low)]
        paid = math.fsum((prices * corners[0].limits[queues]).tolist())
        rows = begun_rows(part.family, part.family.widest(box.low, box.high), box.low)
        bound = math.inf
        for corner in corners:
            problem = replace(rows, cost=corner.cost + prices @ corner.weights[queues])
            start = None if self.counts is None else part.narrow(self.counts)
            try:
                found = minimise(
                    problem,
                    self.clock.left(),
                    stop=self.clock.over,
                    start=start,
                    gap=PROGRAM * self.gap,
                )
            except TimeoutError:
                return box.bound
            if not isinstance(found, Infeasible):
                self.offer(part.widen(found.counts))
                bound = min(bound, found.bound - paid)
        return bound

    def _middle(self, box: _Box) -> FloatArray:
        """The best levels so far where they are in the box, its geometric middle elsewhere."""
        best = self.levels
        if best is not None and (box.low < best).all() and (best < box.high).all():
            return best
        return np.where(box.low > 0, np.sqrt(box.low * box.high), box.high / 4)

    def _halves(self, box: _Box) -> list[tuple[FloatArray, FloatArray]]:
        """Split between the levels of the queue whose range is the widest."""
        scale = box.high + SMALLEST * self.top
        width = np.divide(box.high - box.low, scale, out=np.zeros_like(scale), where=scale > 0)
        k = int(np.argmax(width))
        middle = self._middle(box)[k]
        if not box.low[k] < middle < box.high[k]:
            middle = (box.low[k] + box.high[k]) / 2
        lower, upper = box.high.copy(), box.low.copy()
        lower[k] = upper[k] = middle
        return [(box.low, lower), (upper, box.high)]
