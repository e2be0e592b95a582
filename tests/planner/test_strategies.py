from __future__ import annotations

import pytest
from flexp.errors import FieldError, InfeasibleError, PlanError
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.solve import Wanted
from flexp.planner.strategies import make_plan_by, plan_by
from flexp.planner.strategy_results import compare
from flexp.profiler.profile import Profile

from .conftest import depths, device, fleet, link

SMALL = device("tablet", gflops=15, usable_mib=500)


def test_static_is_the_deepest_that_all_can_have(profile: Profile, office: ResolvedFleet) -> None:
    plan = plan_by("static", {16: profile}, office)
    assert set(depths(plan).values()) == {3}
    assert (plan.strategy, plan.objectives) == ("static", ())


def test_memory_only_is_the_deepest_that_each_can_have(
    profile: Profile, office: ResolvedFleet
) -> None:
    plan = plan_by("memory-only", {16: profile}, office)
    assert depths(plan) == {"ann": 5, "bob": 5, "cat": 3, "dan": 5, "eve": 5}


def test_values_without_a_proof(profile: Profile, office: ResolvedFleet, office_plan: Plan) -> None:
    wanted = Wanted(objective="total,slowest")
    plan = make_plan_by("memory-only", {16: profile}, office, wanted)
    total, slowest = plan.objectives
    assert (total.name, total.status, total.gap, total.bound) == (
        "total",
        "not optimised",
        0.0,
        total.value,
    )
    assert total.value > office_plan.objectives[0].value
    assert slowest.value == pytest.approx(
        max(client.predicted.step_seconds for client in plan.clients)
    )


def test_optimized_is_make_plan(profile: Profile, office: ResolvedFleet, office_plan: Plan) -> None:
    assert make_plan_by("optimized", {16: profile}, office) == office_plan


def test_a_strategy_that_breaks_limits_is_no_plan(profile: Profile) -> None:
    made = fleet([("a", device(gflops=2), link()), ("b", SMALL, link())], step_deadline_seconds=4)
    with pytest.raises(PlanError) as caught:
        make_plan_by("memory-only", {16: profile}, made)
    first, *lines = caught.value.message.splitlines()
    assert first == "the plan of --strategy memory-only breaks limits of the fleet:"
    assert [line.split(",")[0] for line in lines] == ["  a: 19.1 s a step"]
    assert lines[0].endswith("deadline 4 s (C7_step_deadline)")


def test_unknown_power_is_said_before(profile: Profile, office: ResolvedFleet) -> None:
    with pytest.raises(FieldError, match="--objective energy"):
        make_plan_by("static", {16: profile}, office, Wanted(objective="energy"))


def test_beside_the_plan(profile: Profile, office: ResolvedFleet, office_plan: Plan) -> None:
    optimized, static, memory_only = compare(office_plan, {16: profile}, office)
    assert [r.strategy for r in (optimized, static, memory_only)] == [
        "optimized",
        "static",
        "memory-only",
    ]
    assert optimized.value == office_plan.objectives[0].value
    assert optimized.broken == memory_only.broken == ()
    assert memory_only.value is not None and memory_only.value > office_plan.objectives[0].value
    (overloaded,) = static.broken
    assert overloaded.endswith("(C5_server_compute)")


def test_a_strategy_without_any_split(profile: Profile) -> None:
    made = fleet([("a", device("tablet", usable_mib=430), link())])
    with pytest.raises(InfeasibleError, match="a: no depth from 1 fits its memory"):
        plan_by("static", {16: profile}, made)
