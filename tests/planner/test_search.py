"""The search over queues and choices, against every assignment of small fleets."""

from __future__ import annotations

import itertools
import math

import pytest
from flexp.errors import InfeasibleError
from flexp.planner.assign import Run
from flexp.planner.checker import violations
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.menu import make_menu
from flexp.planner.objective import parse_objective
from flexp.planner.objective_value import objective_value
from flexp.planner.plan import Plan
from flexp.planner.promise import Deepest, place, write_up
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import planned, random_fleets

SAME = 1.1e-4


def every_plan(profile: Profile, fleet: ResolvedFleet) -> list[Plan]:
    """All assignments that the checker accepts."""
    profiles, menu = {profile.settings.batch: profile}, make_menu({16: profile}, fleet.policy)
    options = list(itertools.product(range(len(menu)), range(len(fleet.servers))))
    if not all(map(Deepest(menu, fleet).of, fleet.clients)):
        return []
    found = []
    for picked in itertools.product(options, repeat=len(fleet.clients)):
        runs = [Run(i, 1, 1, -1, kind) for i, (_, kind) in enumerate(picked)]
        placed = place(runs, [variant for variant, _ in picked], menu, fleet)
        plan = write_up(profiles, fleet, menu, placed, [], "optimized")
        if not any(violations(plan, profiles, fleet)):
            found.append(plan)
    return found


@pytest.mark.parametrize("objective", ["total", "slowest", "value", "total+0.2*server"])
@settings(max_examples=6, deadline=None)
@given(case=random_fleets(max_clients=3))
def test_equals_brute_force(objective: str, case: tuple[Profile, ResolvedFleet]) -> None:
    profile, fleet = case
    (level,) = parse_objective(objective)
    values = [
        objective_value(level, plan, fleet, DEFAULT_CURVE) for plan in every_plan(profile, fleet)
    ]
    try:
        plan = planned(profile, fleet, objective)
    except InfeasibleError:
        assert values == []
        return
    (found,) = plan.objectives
    assert found.value <= min(values) + SAME * abs(min(values))
    assert found.bound <= min(values) + 1e-9
    assert found.status == "optimal"


@settings(max_examples=8, deadline=None)
@given(case=random_fleets(max_clients=3), second=st.sampled_from(["energy", "bytes", "depth"]))
def test_one_objective_after_the_other(case: tuple[Profile, ResolvedFleet], second: str) -> None:
    profile, fleet = case
    clients = tuple(
        c.model_copy(update={"device": c.device.model_copy(update={"watts": 5.0 * (i + 1)})})
        for i, c in enumerate(fleet.clients)
    )
    fleet = fleet.model_copy(update={"clients": clients})
    try:
        alone = planned(profile, fleet, "slowest")
    except InfeasibleError:
        return
    plan = planned(profile, fleet, f"slowest,{second}")
    assert plan.objectives[0].value <= alone.objectives[0].value * (1 + SAME)
    (level,) = parse_objective(second)
    before = objective_value(level, alone, fleet, DEFAULT_CURVE)
    assert plan.objectives[1].value <= before + 1e-9 * abs(before)
    assert math.isfinite(plan.objectives[1].bound)
