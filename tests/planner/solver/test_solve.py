from __future__ import annotations

import itertools
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from flexp.planner.solver.problem import Problem
from flexp.planner.solver.solve import Infeasible, Progress, Solution, minimise
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import brute_force, problem_of, problems


def test_a_scarce_row_moves_the_member_that_loses_least() -> None:
    cheap, dear = [(1.0, 10.0), (1.1, 5.0)], [(1.0, 10.0), (9.0, 5.0)]
    for cap, expected in (
        (20, [1, 0, 1, 0]),
        (19, [0, 1, 1, 0]),
        (14, [0, 1, 0, 1]),
    ):
        found = minimise(problem_of([(1, cheap), (1, dear)], [cap]))
        assert isinstance(found, Solution)
        assert (found.counts.tolist(), found.status) == (expected, "optimal")


def test_a_group_is_split() -> None:
    """Ten members, 34 units: k on the light column need 5 (10 - k) + 2 k <= 34, so k = 6."""
    found = minimise(problem_of([(10, [(1.0, 5.0), (3.0, 2.0)])], [34]))
    assert isinstance(found, Solution)
    assert found.counts.tolist() == [4, 6]
    assert found.value == 22.0
    assert found.bound == pytest.approx(22.0, rel=1e-9)


def test_prices_are_what_a_unit_of_the_row_is_worth() -> None:
    """Each unit that is missing moves one member in five, at 2 each: 0.4."""
    found = minimise(problem_of([(1000, [(1.0, 10.0), (3.0, 5.0)])], [7500]))
    assert isinstance(found, Solution)
    assert found.multipliers == pytest.approx([0.4])


@settings(max_examples=100, deadline=None)
@given(problems())
def test_equals_brute_force(problem: Problem) -> None:
    best = brute_force(problem, problem.value)
    found = minimise(problem, 20)
    if best is None:
        assert isinstance(found, Infeasible)
        assert found.proof == "search" or found.proves(problem)
        return
    assert isinstance(found, Solution)
    assert problem.feasible(found.counts)
    assert found.value == problem.value(found.counts)
    assert found.value == pytest.approx(best, rel=2e-6, abs=1e-9)
    assert found.bound <= best * (1 + 1e-12) + 1e-12
    assert (found.status, found.stopped) == ("optimal", False)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_without_a_proof_what_is_found_and_its_bound_are_true(problem: Problem) -> None:
    best = brute_force(problem, problem.value)
    found = minimise(problem, 20, effort=0)
    if best is None:
        assert isinstance(found, Infeasible)
        return
    assert isinstance(found, Solution)
    assert problem.feasible(found.counts)
    assert found.bound <= best * (1 + 1e-12) + 1e-12
    assert found.value >= best * (1 - 1e-12) - 1e-12


@settings(max_examples=60, deadline=None)
@given(problems(rows=2), st.sampled_from([1e-6, 0.3, 1e9]), st.integers(0, 1))
def test_the_unit_of_a_row_changes_nothing(problem: Problem, unit: float, row: int) -> None:
    weights, caps = problem.weights.copy(), problem.caps.copy()
    weights[row] *= unit
    caps[row] *= unit
    assert_same(problem, replace(problem, weights=weights, caps=caps))


@settings(max_examples=60, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_groups_changes_nothing(problem: Problem, random: object) -> None:
    order = list(range(problem.groups))
    random.shuffle(order)
    groups = [range(problem.offsets[g], problem.offsets[g + 1]) for g in order]
    columns = np.array(list(itertools.chain(*groups)))
    assert_same(
        problem,
        Problem(
            problem.counts[order],
            np.cumsum([0, *map(len, groups)]),
            problem.cost[columns],
            problem.weights[:, columns],
            problem.caps,
            problem.rows,
        ),
    )


@settings(max_examples=60, deadline=None)
@given(problems(rows=2), st.floats(0, 20))
def test_a_larger_cap_never_hurts(problem: Problem, more: float) -> None:
    found, roomier = minimise(problem), minimise(replace(problem, caps=problem.caps + more))
    if isinstance(found, Solution):
        assert isinstance(roomier, Solution)
        assert roomier.value <= found.value * (1 + 2e-6)


def assert_same(one: Problem, other: Problem) -> None:
    first, second = minimise(one), minimise(other)
    assert type(first) is type(second)
    if isinstance(first, Solution) and isinstance(second, Solution):
        assert first.value == pytest.approx(second.value, rel=2e-6, abs=1e-9)


def test_infeasible_by_one_combination_of_rows() -> None:
    """Either column alone keeps a row and breaks the other: 1 + 1 = 2 > 0.9 + 0.9."""
    problem = problem_of([(7, [(1.0, 2.0, 0.0), (1.0, 0.0, 2.0)])], [6.3, 6.3])
    found = minimise(problem)
    assert isinstance(found, Infeasible)
    assert found.proof == "combination" and found.proves(problem)
    assert not found.proves(replace(problem, caps=problem.caps + 2))
    assert not replace(found, multipliers=np.array([-1.0, 1.0])).proves(problem)
    assert not replace(found, multipliers=np.array([1.0, 0.0])).proves(problem)


@pytest.mark.parametrize("members", [3, 41])
def test_infeasible_only_in_whole_numbers(members: int) -> None:
    """An odd number of members can't be halved, whatever a mixture could do; 41 of them, each on
    its own with a weight of its own, are for the second solver."""
    groups = [(1, [(1.0, 1.0, 0.0), (1.0, 0.0, 1.0)]) for _ in range(members)]
    problem = problem_of(groups, [members / 2, members / 2])
    weights = problem.weights + 1e-7 * np.sqrt(np.arange(problem.columns))
    problem = replace(problem, weights=weights, caps=problem.caps + 1e-3)
    found = minimise(problem, 60)
    assert isinstance(found, Infeasible)
    assert found.proof == "search" and not found.proves(problem)


def knapsack(members: int, rows: int = 1) -> Problem:
    """Irregular options on tight rows: an optimum that can't be had at once."""
    random = np.random.default_rng(0)
    cost = np.sort(random.uniform(1, 9, (members, 8)))
    weights = np.sort(random.uniform(50, 1000, (rows, members, 8)))[:, :, ::-1]
    return Problem(
        np.ones(members, dtype=np.int64),
        8 * np.arange(members + 1),
        cost.ravel(),
        weights.reshape(rows, -1).copy(),
        np.full(rows, 401.0 * members),
        tuple(f"row_{r}" for r in range(rows)),
    )


def test_out_of_time_gives_a_solution_and_an_honest_bound() -> None:
    problem = knapsack(40, rows=3)
    hurried, exact = minimise(problem, 0.0, start=light(problem)), minimise(problem, 60)
    assert isinstance(hurried, Solution) and isinstance(exact, Solution)
    assert exact.gap <= 1e-6
    assert hurried.bound <= exact.value <= hurried.value
    assert hurried.status == "feasible" and not hurried.stopped
    with pytest.raises(TimeoutError, match="neither a solution nor a proof"):
        minimise(problem, 0.0)


def light(problem: Problem) -> np.ndarray:
    x = np.zeros(problem.columns, dtype=np.int64)
    x[problem.offsets[1:] - 1] = problem.counts
    return x


def test_stopped_by_the_callback_or_ctrl_c() -> None:
    problem = knapsack(40, rows=3)
    seen: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        seen.append(progress)
        if progress.gap < 0.05:
            raise KeyboardInterrupt

    def enough() -> bool:
        return len(seen) > 0 and seen[-1].gap < 0.05

    by_key = minimise(problem, 60, on_progress=interrupt)
    seen.clear()
    by_call = minimise(problem, 60, on_progress=seen.append, stop=enough)
    for found in (by_key, by_call):
        assert isinstance(found, Solution)
        assert found.stopped and problem.feasible(found.counts)
        assert 1e-6 < found.gap < 0.05

    def at_once(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimise(problem, 60, on_progress=at_once)


def test_ctrl_c_while_highs_runs() -> None:
    """`stop` is asked from the loop that waits for HiGHS, which has a thread of its own."""
    problem = knapsack(100, rows=4)
    alone = threading.active_count()
    sent: list[int] = []

    def send_once() -> bool:
        if threading.active_count() > alone and not sent:
            sent.append(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return False

    found = minimise(problem, 60, stop=send_once, gap=1e-9)
    assert sent and isinstance(found, Solution)
    assert found.stopped and problem.feasible(found.counts)
    assert found.gap > 1e-9
    assert threading.active_count() == alone


def test_progress_only_gets_better() -> None:
    seen: list[Progress] = []
    found = minimise(knapsack(40, rows=3), 60, on_progress=seen.append)
    assert isinstance(found, Solution)
    assert len(seen) >= 3
    assert all(a.value >= b.value and a.bound <= b.bound for a, b in itertools.pairwise(seen))
    assert (seen[-1].value, seen[-1].bound) == (found.value, found.bound)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    minimise(knapsack(60), 60)
    assert capfd.readouterr() == ("", "")
