"""The least total cost, with a bound that proves how good it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .clock import Clock
from .confirm import second_opinion
from .core import PROVEN_GAP, Search, close_gap
from .exchange import exchange
from .lagrangian import Lagrangian
from .multipliers import infeasibility, maximise
from .problem import FloatArray, IntArray, Problem
from .rounding import round_to_feasible
from .whole_units import lower_caps

GOAL_GAP = 1e-6
"""The search goes on to this while that is cheap."""
ROUNDING = 1e-14


@dataclass(frozen=True)
class Progress:
    """Where a search stands; value is inf until a solution is found."""

    seconds: float
    value: float
    bound: float

    @property
    def gap(self) -> float:
        return relative_gap(self.value, self.bound)


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class Solution:
    counts: IntArray
    """int64[N]: members on each column."""
    value: float
    bound: float
    """No solution costs less."""
    gap: float
    """(value - bound) / the larger one of |value| and |bound|."""
    status: Literal["optimal", "feasible"]
    """Optimal: the gap is at most 1e-4. Feasible: the best found in the time."""
    stopped: bool
    """Whether Ctrl-C or the callback ended the search."""
    multipliers: FloatArray
    """float64[R]: the prices λ behind the bound, in units of cost per unit of the row."""
    seconds: Mapping[str, float]
    """Wall-clock seconds of each phase."""


@dataclass(frozen=True, eq=False)
class Infeasible:
    """No choice keeps all rows."""

    multipliers: FloatArray | None
    """float64[R], >= 0: the combination of rows that no choice keeps; `proves` checks it. None
    where only a search over all choices can tell."""
    proof: Literal["combination", "search"]
    seconds: Mapping[str, float]

    def proves(self, problem: Problem) -> bool:
        """Whether Σ_g counts[g] · min_{o in g} λ·weights[:, o] > λ·limits, which no choice can
        keep: checked with plain arithmetic, rounding allowed for. The limits are those of
        `lower_caps`."""
        if self.multipliers is None or (self.multipliers < 0).any():
            return False
        problem = lower_caps(problem)
        loads = self.multipliers @ problem.weights
        least = np.minimum.reduceat(loads, problem.offsets[:-1])
        allowed = math.fsum((self.multipliers * problem.limits).tolist())
        rounding = ROUNDING * (np.abs(loads).max() * problem.members + abs(allowed))
        return math.fsum((least * problem.counts).tolist()) > allowed + rounding


def relative_gap(value: float, bound: float) -> float:
    if not math.isfinite(value) or not math.isfinite(bound):
        return math.inf
    return (value - bound) / max(abs(value), abs(bound)) if value != bound else 0.0


def minimise(
    problem: Problem,
    time_limit_seconds: float = 60.0,
    on_progress: OnProgress | None = None,
    stop: Callable[[], bool] | None = None,
    start: IntArray | None = None,
    gap: float = GOAL_GAP,
    effort: float = math.inf,
) -> Solution | Infeasible:
    """The solution of least Σ cost · x, proven to `gap` unless the time ends first. An `effort`
    limits the branching nodes times columns of integer programs, and whatever is known after the
    first one that reaches it is enough; at 0, what rounding and exchanges find, where that is any.

    `start` is a solution to begin with. After `stop()` is true or Ctrl-C, the best found so far is
    returned, flagged as stopped. Raises TimeoutError where the search ended with neither a solution
    nor a proof that none exists, KeyboardInterrupt where Ctrl-C came before the first solution.
    """
    clock = Clock(time_limit_seconds, stop)
    search = Search(lower_caps(problem), -math.inf)
    if on_progress is not None:
        search.on_change = lambda s: on_progress(Progress(clock.spent(), s.value, s.bound))
    search.offer(start)
    run = _Run(search, clock, gap, effort)
    try:
        refusal = run.solve()
    except KeyboardInterrupt:
        clock.stop()
        refusal = None
        if search.counts is None:
            raise
    if refusal is not None:
        return refusal
    if search.counts is None:
        raise TimeoutError(f"neither a solution nor a proof in {clock.spent():.3g} s")
    reached = relative_gap(search.value, search.bound)
    return Solution(
        counts=search.counts,
        value=search.value,
        bound=search.bound,
        gap=reached,
        status="optimal" if reached <= PROVEN_GAP else "feasible",
        stopped=clock.stopped,
        multipliers=run.multipliers,
        seconds=clock.seconds,
    )


class _Run:
    def __init__(self, search: Search, clock: Clock, gap: float, effort: float) -> None:
        self.search, self.clock, self.gap, self.effort = search, clock, gap, effort
        self.multipliers: FloatArray = np.zeros(len(search.problem.caps))

    def solve(self) -> Infeasible | None:
        search, clock, problem = self.search, self.clock, self.search.problem
        lagrangian = Lagrangian(problem)
        with clock.phase("prices"):
            dual = maximise(lagrangian, 0.05 * self.gap, clock, search.value)
            self.multipliers = dual.best.multipliers
            if dual.infeasible:
                refusal = self._refuse(dual.best.multipliers)
                if refusal is not None:
                    return refusal
            search.raise_bound(dual.best.bound)
            reduced = lagrangian.reduced_costs(dual.best)
        with clock.phase("rounding"):
            picks = {id(e): e for e in (dual.best, *reversed(dual.picks))}.values()
            for pick in picks:
                search.offer(round_to_feasible(problem, pick.chosen, reduced, clock))
                if search.closed(self.gap) or clock.over():
                    return None
            if search.counts is not None:
                search.offer(exchange(problem, search.counts, reduced, clock))
                if search.closed(self.gap) or self.effort == 0:
                    return None
        if search.counts is None:
            with clock.phase("proof"):
                best, impossible = infeasibility(Lagrangian(problem, priced=False), clock)
                refusal = self._refuse(best.multipliers) if impossible else None
                if refusal is not None:
                    return refusal
        with clock.phase("core"):
            exists = close_gap(search, dual.best, reduced, self.gap, clock, self.effort)
        if exists is False:
            with clock.phase("confirmation"):
                return self._confirm()
        return None

    def _refuse(self, multipliers: FloatArray) -> Infeasible | None:
        refusal = Infeasible(multipliers, "combination", self.clock.seconds)
        return refusal if refusal.proves(self.search.problem) else None

    def _confirm(self) -> Infeasible | None:
        """HiGHS found that no choice keeps the rows; believed only if another method agrees."""
        agreed, found = second_opinion(self.search.problem, self.clock)
        self.search.offer(found)
        if agreed and self.search.counts is None:
            return Infeasible(None, "search", self.clock.seconds)
        return None
