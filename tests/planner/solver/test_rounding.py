from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.solver.clock import endless
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.problem import Problem
from flexp.planner.solver.rounding import least, round_to_feasible
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import brute_force, problem_of, problems
from .test_solve import knapsack


def rounded(problem: Problem, prices: list[float], improve: bool = True) -> np.ndarray | None:
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.array(prices))
    reduced = lagrangian.reduced_costs(at)
    return round_to_feasible(problem, at.chosen, reduced, endless(), improve)


def test_a_group_is_split_in_one_move() -> None:
    """From ten members on the heavy column, 50 units: six of them leave to fit 34."""
    problem = problem_of([(10, [(1.0, 5.0), (3.0, 2.0)])], [34.0])
    x = rounded(problem, [0.0])
    assert x is not None and x.tolist() == [4, 6]


def test_improvement_uses_the_room_that_is_left() -> None:
    problem = problem_of([(10, [(1.0, 5.0), (3.0, 2.0)])], [34.0])
    repaired, improved = rounded(problem, [9.0], improve=False), rounded(problem, [9.0])
    assert repaired is not None and repaired.tolist() == [0, 10]
    assert improved is not None and improved.tolist() == [4, 6]


@settings(max_examples=150, deadline=None)
@given(problems(), st.lists(st.integers(0, 30), min_size=3, max_size=3))
def test_what_comes_back_keeps_the_rows(problem: Problem, prices: list[int]) -> None:
    x = rounded(problem, [p / 10 for p in prices[: len(problem.caps)]])
    if x is not None:
        assert problem.feasible(x)
        best = brute_force(problem, problem.value)
        assert best is not None and best <= problem.value(x) * (1 + 1e-12)


def test_a_large_fleet_ends_close_to_its_bound() -> None:
    problem = knapsack(2000, rows=1)
    lagrangian = Lagrangian(problem)
    at = max((lagrangian(np.array([p])) for p in np.linspace(0, 0.02, 201)), key=lambda e: e.bound)
    reduced = lagrangian.reduced_costs(at)
    x = round_to_feasible(problem, at.chosen, reduced, endless())
    assert x is not None
    assert at.bound <= problem.value(x) <= at.bound * 1.001


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (9, [0, 1, 2, 3])]
)
def test_least(count: int, expected: list[int]) -> None:
    assert least(np.array([5.0, 1.0, 7.0, 1.0]), count).tolist() == expected
