from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flexp.planner.solver.problem import Problem
from flexp.planner.solver.slowest import Slowest, minimise_slowest
from flexp.planner.solver.solve import Infeasible, Progress, Solution, minimise
from flexp.planner.solver.within import Ceiling, ceiling, minimise_within
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import brute_force, every_choice, problem_of, problems
from .test_solve import knapsack


@settings(max_examples=50, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1), st.booleans())
def test_slowest_then_total_equals_brute_force(problem: Problem, seed: int, own: bool) -> None:
    times = np.random.default_rng(seed).integers(1, 9, problem.columns) / 4
    if own:
        times = problem.cost
    best = brute_force(problem, lambda x: times[x > 0].max())
    found = minimise_slowest(problem, times, 20)
    if best is None:
        assert isinstance(found, Infeasible)
        return
    assert isinstance(found, Slowest)
    assert problem.feasible(found.solution.counts)
    assert found.seconds == best
    assert found.bound == pytest.approx(best, rel=1e-6)
    assert times[found.solution.counts > 0].max() <= best
    total = min(problem.value(x) for x in every_choice(problem) if times[x > 0].max() <= best)
    assert found.solution.value == pytest.approx(total, rel=2e-6, abs=1e-9)
    assert found.solution.bound <= total * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1))
def test_without_a_proof_what_is_found_and_its_bound_are_true(problem: Problem, seed: int) -> None:
    times = np.random.default_rng(seed).integers(1, 9, problem.columns) / 4
    best = brute_force(problem, lambda x: times[x > 0].max())
    found = minimise_slowest(problem, times, 20, prove=False)
    if best is None:
        assert isinstance(found, Infeasible)
        return
    assert isinstance(found, Slowest)
    assert problem.feasible(found.solution.counts)
    assert times[found.solution.counts > 0].max() <= found.seconds
    assert found.bound <= best <= found.seconds


def test_slowest_is_not_total() -> None:
    """3 + 3 beats 1 + 4 for the slowest, 1 + 4 beats 3 + 3 in total."""
    problem = problem_of([(1, [(1.0, 2.0), (3.0, 1.0)]), (1, [(3.0, 2.0), (4.0, 1.0)])], [3.0])
    total, slowest = minimise(problem), minimise_slowest(problem, problem.cost)
    assert isinstance(total, Solution) and isinstance(slowest, Slowest)
    assert (total.value, total.counts.tolist()) == (5.0, [1, 0, 0, 1])
    assert (slowest.seconds, slowest.bound, slowest.solution.value) == (3.0, 3.0, 6.0)


def test_slowest_of_a_larger_fleet_is_proven() -> None:
    problem = knapsack(300, rows=2)
    found = minimise_slowest(problem, problem.cost, 60)
    assert isinstance(found, Slowest)
    assert found.gap <= 1e-6 and found.solution.status == "optimal"
    assert problem.cost[found.solution.counts > 0].max() == found.seconds
    assert found.seconds < problem.cost.max()


def test_slowest_when_the_time_is_over_or_ctrl_c_comes() -> None:
    problem = knapsack(300, rows=2)
    reports: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == 3:
            raise KeyboardInterrupt

    exact = minimise_slowest(problem, problem.cost, 60)
    stopped = minimise_slowest(problem, problem.cost, 60, on_progress=interrupt)
    assert isinstance(exact, Slowest) and isinstance(stopped, Slowest)
    assert stopped.solution.stopped and problem.feasible(stopped.solution.counts)
    assert stopped.bound <= exact.seconds <= stopped.seconds


def test_the_second_objective_stays_within_the_first() -> None:
    """Energy within 10% of the least time: of 10 + 10 + 10 seconds, 3 more may be spent."""
    times, energies = [10.0, 12.0, 11.0], [9.0, 1.0, 7.0]
    problem = problem_of([(3, [(t,) for t in times])], [])
    first = minimise(problem)
    assert isinstance(first, Solution) and first.value == 30.0
    second = minimise_within(
        replace(problem, cost=np.array(energies)),
        [ceiling("time", problem, first, 0.1)],
        start=first.counts,
    )
    assert isinstance(second, Solution)
    assert second.counts.tolist() == [1, 1, 1]  # 33 s and 17 J; two at 12 s would be 34 s


@settings(max_examples=50, deadline=None)
@given(problems(max_groups=3), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.5]))
def test_in_order_equals_brute_force(problem: Problem, seed: int, slack: float) -> None:
    second_cost = np.random.default_rng(seed).integers(0, 20, problem.columns).astype(float)
    first = minimise(problem, gap=1e-9)
    if isinstance(first, Infeasible):
        return
    limit = ceiling("first", problem, first, slack)
    other = replace(problem, cost=second_cost)
    found = minimise_within(other, [limit], start=first.counts)
    assert isinstance(found, Solution)
    good = [x for x in every_choice(problem) if problem.value(x) <= limit.at_most * (1 + 1e-9)]
    assert found.value == pytest.approx(min(map(other.value, good)), rel=2e-6, abs=1e-9)
    assert problem.value(found.counts) <= limit.at_most * (1 + 1e-9)


def test_a_ceiling_below_the_optimum_is_infeasible() -> None:
    problem = problem_of([(3, [(10.0,), (12.0,)])], [])
    found = minimise_within(problem, [Ceiling("time", problem.cost, 29.0)])
    assert isinstance(found, Infeasible)
