"""Values that lie on a grid, against the values of many choices."""

from __future__ import annotations

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from flexp.planner import branching, goal_on_grid, search
from flexp.planner.grid import Grid, common_unit, grid
from flexp.planner.objective import parse_objective
from flexp.planner.program import Program
from flexp.planner.resolve import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan, prepare
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, minilm, random_fleets

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
