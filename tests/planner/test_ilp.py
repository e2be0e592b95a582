from __future__ import annotations

import itertools
import math
from dataclasses import replace
from random import Random

import pytest
from flexp.planner import ilp
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.ilp import Group, group_clients, minimise
from flexp.planner.limits import SharedLimit, shared_limits
from flexp.planner.options import Option, depth_costs, fleet_options
from flexp.profiler.profile import Profile
from hypothesis import given, settings

from .conftest import random_fleets
from .test_options import CHOICE


def at(depth: int, seconds: float, server_seconds: float = 0.0, memory: int = 0) -> Option:
    return replace(
        CHOICE,
        depth=depth,
        step_seconds=seconds,
        server_seconds=server_seconds,
        server_memory_bytes=memory,
    )


def memory_limit(cap: float, used: float = 0.0) -> SharedLimit:
    return SharedLimit("C4_server_memory", cap, used, lambda o: o.server_memory_bytes, "", "", str)


def solved(groups: list[Group], limits: list[SharedLimit]) -> dict[str, int] | None:
    choice = minimise(groups, limits, 10.0)
    if choice is None:
        return None
    return {name: option.depth for name, option in choice.assignments(groups).items()}


def test_the_fastest_depth_wins_without_limits() -> None:
    groups = group_clients(["a"], [(at(1, 3.0), at(2, 2.0), at(3, 2.5))])
    assert solved(groups, [memory_limit(1)]) == {"a": 2}


def test_a_scarce_server_moves_the_client_that_loses_least() -> None:
    cheap_to_move = (at(1, 1.0, memory=10), at(2, 1.1, memory=5))
    dear_to_move = (at(1, 1.0, memory=10), at(2, 9.0, memory=5))
    groups = group_clients(["cheap", "dear"], [cheap_to_move, dear_to_move])
    assert solved(groups, [memory_limit(20)]) == {"cheap": 1, "dear": 1}
    assert solved(groups, [memory_limit(19)]) == {"cheap": 2, "dear": 1}
    assert solved(groups, [memory_limit(14)]) == {"cheap": 2, "dear": 2}
    assert solved(groups, [memory_limit(9)]) is None
    assert solved(groups, [memory_limit(20, used=1)]) == {"cheap": 2, "dear": 1}


def test_equal_time_goes_to_the_deeper_split() -> None:
    options = (at(1, 1.0), at(2, 1.0), at(3, 1.0), at(4, 2.0))
    groups = group_clients(["a"], [options])
    assert [o.depth for o in groups[0].options] == [3, 4]
    assert solved(groups, [memory_limit(1)]) == {"a": 3}


def test_equal_clients_are_one_group_in_any_order() -> None:
    same, other = (at(1, 1.0, memory=4), at(2, 2.0, memory=1)), (at(1, 5.0),)
    groups = group_clients(["b", "z", "a"], [same, other, same])
    assert groups == group_clients(["z", "a", "b"], [other, same, same])
    assert [group.members for group in groups] == [("a", "b"), ("z",)]
    assert solved(groups, [memory_limit(5)]) == {"a": 2, "b": 1, "z": 1}


def test_constraints_carry_the_labels_of_the_documentation(
    profile: Profile, office: ResolvedFleet
) -> None:
    options = fleet_options(depth_costs(profile, office.policy), office)
    groups = group_clients([c.name for c in office.clients], options)
    problem, variables = ilp.build(groups, shared_limits(profile, office))
    assert [len(row) for row in variables] == [len(group.options) for group in groups]
    assert [constraint.name for constraint in problem.constraints()] == [
        *(f"C1_assign_{g}" for g in range(len(groups))),
        "C4_server_memory",
        "C5_server_compute",
        "C6_server_link_up",
        "C6_server_link_down",
    ]


@settings(max_examples=120, deadline=None)
@given(random_fleets())
def test_equals_brute_force(case: tuple[Profile, ResolvedFleet]) -> None:
    made, fleet = case
    options = fleet_options(depth_costs(made, fleet.policy), fleet)
    if not all(options):
        return
    limits = shared_limits(made, fleet)
    groups = group_clients([c.name for c in fleet.clients], options)
    choice = minimise(groups, limits, 10.0)
    totals = [
        math.fsum(option.step_seconds for option in picked)
        for picked in itertools.product(*options)
        if all(
            limit.used + math.fsum(map(limit.load, picked)) <= limit.cap * (1 + ilp.ROW_TOLERANCE)
            for limit in limits
        )
    ]
    if choice is None:
        assert not totals
        return
    total = ilp.total_seconds(groups, choice.counts)
    assert total == pytest.approx(min(totals), rel=2 * ilp.SOLVER_GAP)
    assert choice.bound <= min(totals) * (1 + 1e-9)
    assert choice.bound >= total * (1 - 1e-5)


def knapsack(clients: int) -> tuple[list[Group], list[SharedLimit]]:
    """A fleet whose optimum can't be had at once: irregular options on one tight row."""
    random = Random(0)
    options = []
    for _ in range(clients):
        memory = sorted((random.randrange(50, 1000) for _ in range(8)), reverse=True)
        seconds = sorted(random.uniform(1, 9) for _ in range(8))
        pairs = enumerate(zip(seconds, memory, strict=True), start=1)
        options.append(tuple(at(d, took, memory=size) for d, (took, size) in pairs))
    groups = group_clients([f"c{i}" for i in range(clients)], options)
    return groups, [memory_limit(401 * clients)]


def test_out_of_time_gives_a_plan_and_an_honest_bound() -> None:
    groups, limits = knapsack(40)
    hurried = minimise(groups, limits, 0.0)
    exact = minimise(groups, limits, 30.0)
    assert hurried is not None and exact is not None
    best = ilp.total_seconds(groups, exact.counts)
    assert best == pytest.approx(exact.bound, rel=1e-5)
    assert hurried.bound <= best <= ilp.total_seconds(groups, hurried.counts)
    loads = [
        count * option.server_memory_bytes
        for group, row in zip(groups, hurried.counts, strict=True)
        for option, count in zip(group.options, row, strict=True)
    ]
    assert sum(loads) <= limits[0].cap


def test_out_of_time_without_a_plan_is_not_called_impossible() -> None:
    """Two rows that pull apart: the light options break one of them, so only a search can tell."""
    options = (at(1, 1.0, 0.0, memory=3), at(2, 2.0, 2.0, memory=1), at(3, 3.0, 1.5, memory=2))
    groups = group_clients([f"c{i}" for i in range(9)], [options] * 9)
    groups = [Group(g.options, (m,)) for g in groups for m in g.members]
    compute = SharedLimit("C5", 5.2, 0.0, lambda o: o.server_seconds, "", "", str)
    limits = [memory_limit(20), compute]
    assert ilp.lightest(groups, limits) is None
    with pytest.raises(TimeoutError):
        minimise(groups, limits, 0.0)


def test_a_loose_plan_keeps_the_solvers_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    groups, limits = knapsack(40)
    exact = minimise(groups, limits, 30.0)
    monkeypatch.setattr(ilp, "SOLVER_GAP", 0.5)
    loose = minimise(groups, limits, 30.0)
    assert exact is not None and loose is not None
    best, found = (ilp.total_seconds(groups, choice.counts) for choice in (exact, loose))
    assert ilp.lowest_total(groups) <= loose.bound <= best <= found
    assert loose.bound < found
