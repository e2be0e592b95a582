"""The integer program of few columns."""

from __future__ import annotations

import math

import numpy as np
from flexp.planner.solver.clock import endless
from flexp.planner.solver.core import Core, Search, best_below
from flexp.planner.solver.core_model import integer_program
from flexp.planner.solver.lagrangian import Lagrangian

from .conftest import brute_force, problem_of


def test_a_start_is_not_taken_for_the_optimum() -> None:
    """Four clients on two servers. HiGHS settles it before it branches, and then says 0.65 of a
    start that costs 0.73."""
    groups = [
        [(0.0, 0.0, 0.07, 0.0, 0.21, 0.23, 0.0), (0.56, 736.0, 0.0, 1.0, 0.0, 0.0, 0.23)],
        [(0.0, 0.0, 0.305, 0.0, 0.985, 0.0, 0.0), (0.644, 736.0, 0.0, 1.0, 0.0, 1.0, 1.0)],
        [(0.0, 0.0, 0.293, 0.0, 0.943, 0.0, 0.0), (0.644, 736.0, 0.0, 1.0, 0.0, 0.961, 0.961)],
        [
            (0.0882, 0.0, 0.305, 0.0, 0.985, 0.0, 0.0),
            (0.733, 736.0, 0.0, 1.0, 0.0, 1.0, 1.0),
            (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
            (1.0, 1009.0, 0.0, 1.0, 0.0, 0.961, 0.961),
        ],
    ]
    caps = [1867.0, 1.0, 1.0, 3.1056, 2.7342, 1.5573]
    problem = problem_of([(1, columns) for columns in groups], caps)
    start = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 0])
    search = Search(problem, 0.0)
    search.offer(start)
    core = Core(search, np.arange(problem.columns), np.zeros(problem.columns), math.inf)
    found, bound, ended = core.solve(3e-4, endless())
    assert found is not None and bound is not None and ended
    assert problem.value(found) == brute_force(problem, problem.value)
    assert math.isclose(bound, problem.value(found), abs_tol=1e-6)


def test_variables_stay_in_the_order_of_the_columns() -> None:
    """A start is a value for each of them."""
    problem = problem_of([(1, [(float(o), 1.0) for o in range(12)])], [4.0])
    core = Core(Search(problem, 0.0), np.arange(12), np.zeros(12), math.inf)
    model, variables = integer_program(core, problem.cost)
    assert [x.name for x in model.variables()] == [x.name for x in variables]


def test_below_nothing() -> None:
    problem = problem_of([(1, [(1.0, 2.0), (-1.0, 3.0)])], [4.0])
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.zeros(1))
    found, bound = best_below(problem, at, lagrangian.reduced_costs(at), 0.0, 1e-3, endless())
    assert found is not None and found.tolist() == [0, 1]
    assert math.isclose(bound, -1.0, abs_tol=1e-2)
