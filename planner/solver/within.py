"""One objective after another: the second among the solutions that are good enough at the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .problem import FloatArray, IntArray, Problem
from .solve import GOAL_GAP, Infeasible, Progress, Solution, minimise


@dataclass(frozen=True, eq=False)
class Ceiling:
    """Σ cost · x <= at_most."""

    name: str
    cost: FloatArray
    """float64[N]"""
    at_most: float


def ceiling(name: str, problem: Problem, solution: Solution, slack: float) -> Ceiling:
    """At most (1 + slack) times what the solution costs: 0.01 allows 1% more."""
    return Ceiling(name, problem.cost, solution.value + slack * abs(solution.value))


def minimise_within(
    problem: Problem,
    ceilings: Sequence[Ceiling],
    time_limit_seconds: float = 60.0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    start: IntArray | None = None,
    gap: float = GOAL_GAP,
) -> Solution | Infeasible:
    """`minimise` with each ceiling as one more row, after those of the problem.

    For the cheapest energy within 1% of the least time: minimise the time, then
    `minimise_within(replace(problem, cost=energy), [ceiling("time", problem, first, 0.01)],
    start=first.counts)`.
    """
    return minimise(
        with_ceilings(problem, ceilings), time_limit_seconds, on_progress, stop, start, gap
    )


def with_ceilings(problem: Problem, ceilings: Sequence[Ceiling]) -> Problem:
    return replace(
        problem,
        weights=np.stack([*problem.weights, *(c.cost for c in ceilings)]),
        caps=np.array([*problem.caps, *(c.at_most for c in ceilings)]),
        rows=(*problem.rows, *(c.name for c in ceilings)),
    )
