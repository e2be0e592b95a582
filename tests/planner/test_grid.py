"""Values that lie on a grid, against the values of many choices."""

from __future__ import annotations

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from flexp.planner import branching, goal_on_grid, search
from flexp.planner.goal_on_grid import climbed
from flexp.planner.grid import Grid, common_unit, grid
from flexp.planner.objective import parse_objective
from flexp.planner.program import Program
from flexp.planner.resolve import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan, prepare
from flexp.planner.solver.problem import Problem
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, minilm, random_fleets
from .solver.conftest import every_choice, problem_of, problems

NOISE = 1e-13


@settings(max_examples=200, deadline=None)
@given(
    multiples=st.lists(st.integers(0, 500), min_size=1, max_size=20),
    unit=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_unit_of_multiples(multiples: list[int], unit: float, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-NOISE, NOISE, len(multiples))
    numbers = np.array(multiples) * unit * (1 + noise)
    divisor = math.gcd(*multiples)
    assert common_unit(numbers) == pytest.approx(divisor * unit, rel=1e-9)


def test_numbers_without_a_unit() -> None:
    assert common_unit(np.array([1.0, math.sqrt(2), math.pi])) == 0


def program(objective: str, min_depth: int = 1) -> Program:
    profile: Profile = minilm()
    clients = [
        ("ann", device("laptop", 60), link("wifi", 30, 60), min_depth),
        ("bob", device("pi", 6), link("dsl", 10, 50)),
        ("cat", device("pi", 6), link("dsl", 10, 50)),
    ]
    task = prepare({profile.settings.batch: profile}, fleet(clients))
    return task.builder(parse_objective(objective), DEFAULT_CURVE).build()


@pytest.mark.parametrize("objective", ["value", "depth"])
def test_values_are_a_unit_apart_or_the_same(objective: str) -> None:
    made = program(objective)
    found = grid(made, 0)
    assert found is not None
    random = np.random.default_rng(1)
    columns = random.integers(made.static.offsets[:-1], made.static.offsets[1:], (200, 2))
    values = made.fixed[0][columns] @ made.static.counts
    apart = np.abs(values[:, None] - values)
    assert ((apart <= found.stray) | (apart > found.apart)).all()
    assert apart[apart > found.stray].min() < 2 * found.unit
    units = found.units(made, 0)[columns] @ made.static.counts
    assert np.abs(found.least + units * found.unit - values).max() <= found.stray
    assert (values >= [found.at(k) for k in units]).all()
    assert values.min() >= found.least - found.stray


def test_no_grid_where_waiting_costs() -> None:
    assert grid(program("total"), 0) is None


def test_no_grid_where_numbers_stray() -> None:
    made = program("value")
    off = np.random.default_rng(2).uniform(0, 1e-6, made.fixed.shape)
    assert grid(replace(made, fixed=made.fixed + off), 0) is None


def test_what_better_choices_cost() -> None:
    found = Grid(cheapest=np.array([2.0]), least=2.0, unit=0.5, stray=1e-9)
    assert found.below(3.0) == pytest.approx(2.5, abs=3e-9)
    assert found.below(3.0) > 2.5
    assert found.bound(3.0) == pytest.approx(3.0, abs=2e-9)
    assert found.bound(2.0) == 2.0
    assert found.within(found.below(3.0)) == 1
    assert found.within(2.9) == 1
    assert found.within(2.5 - 2e-9) == found.within(2.4) == 0
    assert found.within(1.9) == -1


def test_no_place_is_ruled_out_by_one_row_at_one_corner_and_another_at_the_other() -> None:
    """In the middle the only choice asks 1 of each row, which both allow."""
    problem = problem_of([(1, [(0.0, 0.0, 0.0)])], [1.0, 1.0])
    caps, nothing = np.array([1.0, 1.0]), np.array([0])
    first_row, second_row = np.array([[2.0], [0.0]]), np.array([[0.0], [2.0]])
    each = [(first_row, caps), (second_row, caps)]
    assert climbed(problem, nothing, 5, each)[0] == 0
    together = (first_row + second_row, 2 * caps)
    assert climbed(problem, nothing, 5, [together, *each])[0] == 0
    assert climbed(problem, nothing, 5, [together, (first_row + 2.0, caps)])[0] == 6


@settings(max_examples=100, deadline=None)
@given(problem=problems(), seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_what_is_climbed_is_true_of_all_places(problem: Problem, seed: int, share: float) -> None:
    """What is asked lies between what is asked at two corners; so does what is allowed."""
    random, rows = np.random.default_rng(seed), len(problem.caps)
    units, most = random.integers(0, 6, problem.columns), 20
    other = random.uniform(0.5, 1.5, (rows, 1)) * problem.weights
    caps = np.stack([problem.caps, random.uniform(0.5, 1.5, rows) * problem.caps])
    prices = [random.uniform(0, 1, rows), *np.eye(rows)]
    asked = [(np.stack([one @ problem.weights, one @ other]), caps @ one) for one in prices]
    first, ladders = climbed(problem, units, most, asked)
    if first <= most:
        assert units @ ladders[-1].choice(first) <= first
    weights = share * problem.weights + (1 - share) * other
    allowed = share * caps[0] + (1 - share) * caps[1]
    wide = replace(problem, weights=weights, caps=allowed)
    assert all(units @ x >= first for x in every_choice(wide))


@settings(max_examples=25, deadline=None)
@given(case=random_fleets(max_clients=5), objective=st.sampled_from(["value", "depth"]))
def test_ladders_change_no_optimum(case: tuple[Profile, ResolvedFleet], objective: str) -> None:
    """Where they take too long, boxes and their integer programs have to do."""
    profile, fleet = case
    profiles, wanted = {profile.settings.batch: profile}, Wanted(objective=objective)
    with mock.patch.object(search, "FEW_CHOICES", 0), mock.patch.object(branching, "FEW", 0):
        found = find_plan(profiles, fleet, wanted)
        with mock.patch.object(goal_on_grid, "EFFORT", -1):
            without = find_plan(profiles, fleet, wanted)
    if isinstance(found, NoPlan) or isinstance(without, NoPlan):
        assert isinstance(found, NoPlan) and isinstance(without, NoPlan)
        return
    (mine,), (other,) = found.objectives, without.objectives
    assert mine.status == other.status == "optimal"
    assert mine.value == pytest.approx(other.value, rel=1e-9)
