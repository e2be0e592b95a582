from __future__ import annotations

import math

import numpy as np
import pytest
from flexp.planner.solver import lagrangian as module
from flexp.planner.solver.clock import endless
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.multipliers import infeasibility, maximise
from flexp.planner.solver.problem import Problem
from flexp.planner.solver.whole_units import lower_caps
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import brute_force, every_choice, problem_of, problems
from .test_solve import knapsack


def test_bound_and_reduced_costs_by_hand() -> None:
    """At λ = 0.5: min(1 + 5, 3 + 2) = 5 a member, 50 for ten, less 0.5 · 34."""
    problem = problem_of([(10, [(1.0, 10.0), (3.0, 4.0)])], [34.0])
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.array([0.5]))
    assert at.bound == pytest.approx(33.0)
    assert at.chosen.tolist() == [1]
    assert at.excess == pytest.approx([6.0])
    assert lagrangian.reduced_costs(at) == pytest.approx([1.0, 0.0])


@settings(max_examples=150, deadline=None)
@given(problems(), st.lists(st.integers(0, 300), min_size=3, max_size=3))
def test_every_price_gives_a_bound(problem: Problem, prices: list[int]) -> None:
    multipliers = np.array(prices[: len(problem.caps)]) / 100
    at = Lagrangian(problem)(multipliers)
    best = brute_force(problem, problem.value)
    if best is not None:
        assert at.bound <= best
    reduced = Lagrangian(problem).reduced_costs(at)
    assert (reduced >= 0).all() and (reduced[at.chosen] == 0).all()
    for x in list(every_choice(problem))[:20]:
        assert at.bound + reduced @ x <= problem.value(x) * (1 + 1e-12) + 1e-12


def test_the_bound_is_safe_where_plain_arithmetic_is_not() -> None:
    """The optimum uses the cap in full, so L(λ) is the optimum for any λ: rounding decides."""
    random = np.random.default_rng(0)
    for _ in range(50):
        cost, weight = random.uniform(0.1, 1e3, (2, 2000))
        one = Problem(
            np.ones(2000, dtype=np.int64),
            np.arange(2001),
            cost,
            weight[None],
            np.array([math.fsum(weight) * (1 - 1e-9)]),
            ("row",),
        )
        at = Lagrangian(one)(random.uniform(0, 9, 1))
        assert at.bound <= math.fsum(cost)
        assert at.bound == pytest.approx(math.fsum(cost), rel=1e-7)


def test_without_prices_nothing_is_lost_to_rounding() -> None:
    """As where all groups can have what costs nothing: the bound is the optimum, 0."""
    problem = problem_of([(10, [(0.0, 1.0), (1e9, 0.0)])], [34.0])
    assert Lagrangian(problem)(np.zeros(1)).bound == 0.0


def test_columns_past_the_deadline_are_out() -> None:
    problem = problem_of([(1, [(1.0, 5.0), (2.0, 3.0), (3.0, 1.0)])], [10.0])
    lagrangian = Lagrangian(problem, priced=False, times=problem.cost)
    for deadline, column in ((3.0, 2), (2.5, 1), (1.0, 0)):
        assert lagrangian(np.ones(1), deadline).chosen.tolist() == [column]


def test_chunks_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = knapsack(60, rows=2)
    prices = np.array([0.01, 0.002])
    whole = Lagrangian(problem)
    monkeypatch.setattr(module, "CHUNK_COLUMNS", 20)
    parts = Lagrangian(problem)
    one, other = whole(prices), parts(prices)
    assert one.bound == other.bound and (one.chosen == other.chosen).all()
    assert (whole.reduced_costs(one) == parts.reduced_costs(other)).all()


def test_the_highest_bound_by_hand() -> None:
    """A member moves at 3 for 10 − 4 units: λ = 1/3; 10 + 3 · (100 − 34) / 6 · ... = 32 in all."""
    problem = problem_of([(10, [(1.0, 10.0), (4.0, 4.0)])], [56.0])
    dual = maximise(Lagrangian(problem), 1e-9, endless())
    assert dual.best.multipliers == pytest.approx([0.5])
    assert dual.best.bound == pytest.approx(10 + 0.5 * 44)
    assert not dual.infeasible


def test_a_sample_gives_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from flexp.planner.solver import multipliers

    problem = knapsack(400, rows=3)
    plain = maximise(Lagrangian(problem), 1e-8, endless())
    monkeypatch.setattr(multipliers, "SAMPLED_GROUPS", 50)
    monkeypatch.setattr(multipliers, "SAMPLE_FROM_GROUPS", 200)
    sampled = maximise(Lagrangian(problem), 1e-8, endless())
    assert sampled.best.bound == pytest.approx(plain.best.bound, rel=1e-7)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_a_combination_proves_only_what_is_true(problem: Problem) -> None:
    best, impossible = infeasibility(Lagrangian(problem, priced=False), endless())
    if impossible:
        assert next(every_choice(problem), None) is None
        assert best.bound > 0
    elif impossible is None:
        assert best.bound == pytest.approx(0, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_lowered_caps_admit_the_same_choices(problem: Problem) -> None:
    lowered = lower_caps(problem)
    assert (lowered.caps <= problem.caps).all()
    assert all(lowered.feasible(x) for x in every_choice(problem))


def test_caps_lowered_by_hand() -> None:
    """Loads are 3 · 7 + k · 5 and the cap is 40.5: 36 at most. Fractions stay as they are."""
    options = [(0.0, 7.0, 0.5), (0.0, 17.0, 1.0), (0.0, 12.0, 0.25)]
    lowered = lower_caps(problem_of([(3, options)], [40.5, 2.2]))
    assert lowered.caps.tolist() == [36.0, 2.2]
