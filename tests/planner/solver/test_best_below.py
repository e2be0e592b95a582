"""The best solution below a target, with a group that may be divided, against all choices."""

from __future__ import annotations

import itertools
import math

import numpy as np
from flexp.planner.solver.clock import endless
from flexp.planner.solver.core import best_below
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.problem import IntArray, Problem
from hypothesis import given, settings
from hypothesis import strategies as st

GAP = 1e-3


def divided(seed: int) -> Problem:
    """Three groups of three columns, and one of two columns whose member may be divided."""
    random = np.random.default_rng(seed)
    cost, weights = random.uniform(1, 3, 11), random.uniform(0, 2, (2, 11))
    cost[9:], weights[:, 9] = (0.0, random.uniform(-3, 3)), 0.0
    weights[:, 10] = random.uniform(-3, 3, 2)
    caps = random.uniform(1, 4, 2)
    counts, offsets = np.ones(4, dtype=np.int64), np.array([0, 3, 6, 9, 11])
    return Problem(counts, offsets, cost, weights, caps, ("a", "b"), divisible=1)


def least(problem: Problem, columns: tuple[int, ...]) -> float:
    """The least cost of a choice, wherever the divided member is; inf where no place fits."""
    low, high = 0.0, 1.0
    for row, cap in zip(problem.weights, problem.caps, strict=True):
        room, slope = cap - row[list(columns)].sum(), row[10]
        if slope > 0:
            high = min(high, room / slope)
        else:
            low = max(low, room / slope)
    if low > high:
        return math.inf
    ends = problem.cost[10] * np.array([low, high])
    return float(problem.cost[list(columns)].sum() + ends.min())


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prices=st.tuples(st.floats(0, 2), st.floats(0, 2)),
    above=st.floats(-0.5, 2),
)
def test_equals_brute_force(seed: int, prices: tuple[float, float], above: float) -> None:
    problem = divided(seed)
    choices = itertools.product(*(range(s, s + 3) for s in (0, 3, 6)))
    best = min(least(problem, columns) for columns in choices)
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.array(prices))
    below = (best if math.isfinite(best) else 5.0) + above
    if at.bound >= below:
        assert best >= below - 1e-6
        return
    x, bound = best_below(problem, at, lagrangian.reduced_costs(at), below, GAP, endless())
    assert bound <= min(best, below) + 1e-6
    if best < below - GAP:
        assert x is not None
        assert least(problem, _chosen(x)) <= best + 2 * GAP


def _chosen(x: IntArray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(x[:9]).tolist())
