"""The best solution below a target, with a group that may be divided, against all choices."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), above=st.floats(-0.5, 2))
def test_after_little_effort_the_bound_is_true(seed: int, above: float) -> None:
    problem = divided(seed)
    choices = itertools.product(*(range(s, s + 3) for s in (0, 3, 6)))
    best = min(least(problem, columns) for columns in choices)
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.zeros(2))
    below = (best if math.isfinite(best) else 5.0) + above
    if at.bound >= below:
        return
    reduced = lagrangian.reduced_costs(at)
    x, bound = best_below(problem, at, reduced, below, GAP, endless(), effort=0)
    assert at.bound - 1e-6 <= bound <= min(best, below) + 1e-6
    if x is not None:
        assert least(problem, _chosen(x)) < math.inf


def _chosen(x: IntArray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(x[:9]).tolist())


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), left_out=st.integers(1, 4))
def test_choices_that_are_left_out(seed: int, left_out: int) -> None:
    """Of all choices in rising order of cost, the first that is not left out."""
    problem = divided(seed)
    ordered = sorted(
        itertools.product(*(range(s, s + 3) for s in (0, 3, 6))), key=lambda c: least(problem, c)
    )
    next_best = least(problem, ordered[left_out])
    without = tuple(
        np.isin(np.arange(11), chosen).astype(np.int64) for chosen in ordered[:left_out]
    )
    problem = replace(problem, without=without)
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.zeros(2))
    below = (next_best if math.isfinite(next_best) else 5.0) + 1
    x, bound = best_below(problem, at, lagrangian.reduced_costs(at), below, GAP, endless())
    assert bound <= min(next_best, below) + 1e-6
    if math.isfinite(next_best):
        assert x is not None
        assert _chosen(x) not in ordered[:left_out]
        assert least(problem, _chosen(x)) <= next_best + 2 * GAP


def test_the_only_choice_is_left_out() -> None:
    """Both groups are settled, by one column or by what is worth while."""
    counts, offsets = np.ones(3, dtype=np.int64), np.array([0, 1, 3, 5])
    cost, weights = np.array([1.0, 1.0, 9.0, 0.0, 0.0]), np.array([[0.0, 0.0, 0.0, 0.0, -1.0]])
    x = np.array([1, 1, 0, 0, 0])
    problem = Problem(counts, offsets, cost, weights, np.zeros(1), ("a",), 1, without=(x,))
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.zeros(1))
    reduced = lagrangian.reduced_costs(at)
    assert best_below(problem, at, reduced, 5.0, GAP, endless()) == (None, 5.0)
    found, bound = best_below(problem, at, reduced, 12.0, GAP, endless())
    assert found is not None and found[:3].tolist() == [1, 0, 1]
    assert 10 - 2 * GAP <= bound <= 10
