"""The search over queues and choices, against every assignment of small fleets."""

from __future__ import annotations

import itertools
import math
from unittest import mock

import numpy as np
import pytest
from flexp.errors import FlexpError, InfeasibleError
from flexp.planner import branching, search
from flexp.planner.assign import Run
from flexp.planner.best import Best
from flexp.planner.checker import violations
from flexp.planner.deepest import Deepest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.goal import Sum
from flexp.planner.goal_slowest import Slowest
from flexp.planner.guests import Guests
from flexp.planner.links import with_own_traffic
from flexp.planner.menu import make_menu
from flexp.planner.objective import parse_objective
from flexp.planner.objective_value import objective_value
from flexp.planner.plan import Plan
from flexp.planner.promise import write_up
from flexp.planner.queues import holds
from flexp.planner.solve import NoPlan, Wanted, find_plan, prepare
from flexp.planner.solver.clock import endless
from flexp.planner.solver.confirm import all_choices
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import device, link, planned, random_fleets, with_second_server
from .conftest import fleet as fleet_of

SAME = 1.1e-4


def every_plan(profile: Profile, fleet: ResolvedFleet) -> list[Plan]:
    """All assignments that the checker accepts."""
    profiles, menu = {profile.settings.batch: profile}, make_menu({16: profile}, fleet.policy)
    options = list(itertools.product(range(len(menu)), range(len(fleet.servers))))
    each = len(fleet.clients)
    guests = Guests(fleet.server, menu, fleet.clients, variants=[0] * each, members=[1] * each)
    if not all(Deepest(menu, fleet).of(guests)):
        return []
    found = []
    for picked in itertools.product(options, repeat=len(fleet.clients)):
        runs = [Run(i, 1, 1, -1, kind) for i, (_, kind) in enumerate(picked)]
        variants = [variant for variant, _ in picked]
        plan = write_up(profiles, fleet, menu, runs, variants, [], "optimized")
        if not any(violations(plan, profiles, fleet)):
            found.append(plan)
    return found


def every_value(profile: Profile, fleet: ResolvedFleet, objective: str) -> list[float]:
    """Of `every_plan`."""
    (level,) = parse_objective(objective)
    plans = every_plan(profile, fleet)
    return [objective_value(level, plan, fleet, DEFAULT_CURVE) for plan in plans]


@pytest.mark.parametrize("objective", ["total", "slowest", "value", "total+0.2*server"])
@settings(max_examples=6, deadline=None)
@given(case=random_fleets(max_clients=3))
def test_equals_brute_force(objective: str, case: tuple[Profile, ResolvedFleet]) -> None:
    profile, fleet = case
    values = every_value(profile, fleet, objective)
    try:
        plan = planned(profile, fleet, objective)
    except InfeasibleError:
        assert values == []
        return
    (found,) = plan.objectives
    assert found.value <= min(values) + SAME * abs(min(values))
    assert found.bound <= min(values) + 1e-9
    assert found.status == "optimal"


@pytest.mark.parametrize("objective", ["total", "slowest", "value"])
@settings(max_examples=12, deadline=None)
@given(case=random_fleets(max_clients=3), fullness=st.floats(0.7, 1.3))
def test_boxes_equal_brute_force_where_the_link_is_nearly_full(
    objective: str, case: tuple[Profile, ResolvedFleet], fullness: float
) -> None:
    """The server's link is `fullness` times as full as it may be, by the plan for a wide one. The
    search divides boxes although it could try every choice."""
    profile, fleet = case
    try:
        wide = planned(profile, with_server_link(fleet, 1e10))
    except InfeasibleError:
        return
    used = 1e10 * wide.servers[0].link_utilisation
    fleet = with_server_link(fleet, used / (fullness * fleet.policy.server_utilisation))
    values = every_value(profile, fleet, objective)
    with mock.patch.object(search, "FEW_CHOICES", 0), mock.patch.object(branching, "FEW", 0):
        found = find_plan({profile.settings.batch: profile}, fleet, Wanted(objective=objective))
    if isinstance(found, NoPlan):
        assert values == []
        return
    (result,) = found.objectives
    assert result.value <= min(values) * (1 + SAME)
    assert result.bound <= min(values) + 1e-9
    assert result.status == "optimal"


@pytest.mark.parametrize("objective", ["total", "slowest", "value"])
@settings(max_examples=8, deadline=None)
@given(case=random_fleets(max_clients=2), speed=st.floats(0.2, 3.0))
def test_what_boxes_say_of_two_servers_is_true(
    objective: str, case: tuple[Profile, ResolvedFleet], speed: float
) -> None:
    """One of them may be alone with a client, or without an option that is worth it: nobody waits
    there, and a proof over all its levels is one over a single level. Boxes alone may find no proof
    in the time."""
    profile, fleet = case
    fleet = with_second_server(fleet, speed)
    values = every_value(profile, fleet, objective)
    wanted = Wanted(objective=objective, time_limit_seconds=2)
    with mock.patch.object(search, "FEW_CHOICES", 0), mock.patch.object(branching, "FEW", 0):
        try:
            found = find_plan({profile.settings.batch: profile}, fleet, wanted)
        except FlexpError as error:
            assert "nor a proof" in str(error)
            return
    if isinstance(found, NoPlan):
        assert values == []
        return
    (result,) = found.objectives
    assert result.bound <= min(values) + 1e-9
    if result.status == "optimal":
        assert result.value <= min(values) * (1 + SAME)


@pytest.mark.parametrize("objective", ["total", "slowest", "value"])
@settings(max_examples=10, deadline=None)
@given(case=random_fleets(max_clients=3), speed=st.floats(0.2, 3.0))
def test_the_best_of_two_servers_is_found_and_proven(
    objective: str, case: tuple[Profile, ResolvedFleet], speed: float
) -> None:
    """However few choices there are, boxes are divided."""
    profile, fleet = case
    fleet = with_second_server(fleet, speed)
    with mock.patch.object(search, "FEW_CHOICES", 0):
        found = find_plan({profile.settings.batch: profile}, fleet, Wanted(objective=objective))
    if isinstance(found, NoPlan):
        assert bool(found.stuck) or best_value(profile, fleet, objective) == math.inf
        return
    (result,) = found.objectives
    assert result.status == "optimal"
    best = best_value(profile, fleet, objective)
    assert result.bound <= best + 1e-9
    assert best - 1e-9 <= result.value <= best * (1 + SAME)


def test_a_server_that_nobody_needs_is_left_empty(profile: Profile) -> None:
    """All choices with a client at the slow server cost more. That nobody waits there does not mean
    that somebody is there: to think so proves another plan the best one."""
    clients = [(f"client{i}", device("pi", 20, 1024), link("wifi", 40, 80)) for i in range(4)]
    one = fleet_of(clients, (device("server", 400, 8192), link("fibre", 1000, 1000, 0.001)))
    fleet = with_second_server(one, 5e-5)
    task = prepare({profile.settings.batch: profile}, fleet)
    program = task.builder(parse_objective("total"), DEFAULT_CURVE).build()
    assert len(program.on[1].nonzero()[0])
    alone = planned(profile, one)
    with mock.patch.object(search, "FEW_CHOICES", 0), mock.patch.object(Best, "find"):
        found = find_plan({profile.settings.batch: profile}, fleet, Wanted())
    assert not isinstance(found, NoPlan)
    assert found.objectives[0].value == pytest.approx(alone.objectives[0].value, rel=SAME)


def best_value(profile: Profile, fleet: ResolvedFleet, objective: str) -> float:
    """Of all choices, those that are the best without waiting first; inf where none keeps the
    limits."""
    task = prepare({profile.settings.batch: profile}, fleet)
    builder = task.builder(parse_objective(objective), DEFAULT_CURVE)
    assert not len(builder.stuck())
    program = builder.build()
    goal = Slowest(endless()) if objective == "slowest" else Sum(0, endless())
    alone = program.at_least(np.zeros_like(program.link_use))
    nowhere = np.zeros(len(program.servers))
    choices = list(all_choices(program.static))
    at_least = [goal.value(alone, x, nowhere) for x in choices]
    best = math.inf
    for index in np.argsort(at_least):
        if at_least[index] >= best:
            break
        x = choices[index]
        own, level = with_own_traffic(program, x)
        if holds(own, x, level):
            best = min(best, goal.value(own, x, level))
    return best


def with_server_link(fleet: ResolvedFleet, bits_per_second: float) -> ResolvedFleet:
    """The same with another rate of the server's link, both ways."""
    (server,) = fleet.servers
    rates = {"up_bits_per_second": bits_per_second, "down_bits_per_second": bits_per_second}
    link = server.link.model_copy(update=rates)
    return fleet.model_copy(update={"servers": (server.model_copy(update={"link": link}),)})


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
