"""Clients that may take no part: as few as possible stay out, and the rest gets its best plan."""

from __future__ import annotations

import itertools
from unittest import mock

import pytest
from flexp.errors import InfeasibleError
from flexp.planner import branching, search
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, planned, random_fleets
from .test_search import SAME, every_value

SMALL = device("old", usable_mib=400)
"""For which no variant is small enough."""
WIDE = link("wide", up=10_000, down=10_000)


def optional(made: ResolvedFleet, *names: str) -> ResolvedFleet:
    """The fleet with these clients optional, or all of them."""
    clients = tuple(
        client.model_copy(update={"optional": not names or client.name in names})
        for client in made.clients
    )
    return made.model_copy(update={"clients": clients})


def best(profile: Profile, made: ResolvedFleet, objective: str) -> tuple[int, float] | None:
    """How many stay out at the least, and the best value of all ways to leave out so many."""
    for left in range(len(made.clients)):
        values = list[float]()
        for out in itertools.combinations(made.clients, left):
            if all(client.optional for client in out):
                rest = tuple(client for client in made.clients if client not in out)
                rest_of_it = made.model_copy(update={"clients": rest})
                values += every_value(profile, rest_of_it, objective)
        if values:
            return left, min(values)
    return None


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("objective", ["total", "slowest", "value"])
@settings(max_examples=15, deadline=None)
@given(case=random_fleets(max_clients=3), needed=st.integers(0, 3))
def test_equals_brute_force(
    objective: str, boxes: bool, case: tuple[Profile, ResolvedFleet], needed: int
) -> None:
    """With `boxes` the search divides these, although it could try every choice."""
    profile, made = case
    names = [client.name for client in made.clients]
    made = optional(made, *names[needed:]) if needed else optional(made)
    expected = best(profile, made, objective)
    with (
        mock.patch.object(search, "FEW_CHOICES", 0 if boxes else search.FEW_CHOICES),
        mock.patch.object(branching, "FEW", 0 if boxes else branching.FEW),
    ):
        found = find_plan({profile.settings.batch: profile}, made, Wanted(objective=objective))
    if isinstance(found, NoPlan):
        assert expected is None
        return
    assert expected is not None
    left, value = expected
    assert len(found.absent) == left
    result = found.objectives[-1]
    assert value - 1e-9 <= result.value <= value * (1 + SAME)
    assert result.bound <= value + 1e-9
    assert all(one.status == "optimal" for one in found.objectives)


def test_who_can_take_no_part_draws_nobody_else_out(profile: Profile) -> None:
    """Everyone is optional, and costs nothing where absent: that is no reason to be so."""
    clients = [("ann", device(), link()), ("bob", device(), link()), ("old", SMALL, link())]
    made = fleet(clients)
    plan = planned(profile, optional(made))
    alone = planned(profile, made.model_copy(update={"clients": made.clients[:2]}))
    assert [absent.name for absent in plan.absent] == ["old"]
    assert plan.clients == alone.clients
    assert plan.objectives == alone.objectives


def test_the_weight_of_who_stays_out_is_that_of_all(profile: Profile) -> None:
    """The server has room for two of three, and the fourth can take no part."""
    room = device("server", gflops=900, usable_mib=510)
    clients = [(name, device(), link()) for name in ("ann", "bob", "cat")]
    made = fleet([*clients, ("old", SMALL, link())], (room, WIDE))
    plan = planned(profile, optional(made))
    away, total = plan.objectives
    assert [absent.name for absent in plan.absent][-1] == "old"
    assert (away.name, away.value) == ("absent", len(plan.absent))
    assert len(plan.absent) == 2
    assert (away.status, total.status) == ("optimal", "optimal")


def test_a_plan_without_anyone_is_none(profile: Profile) -> None:
    with pytest.raises(InfeasibleError):
        planned(profile, optional(fleet([("old", SMALL, link())])))


def test_why_not_even_one_takes_part(profile: Profile) -> None:
    """One client alone would keep the server busy nearly all of the time."""
    slow = device("server", gflops=0.5, usable_mib=4096)
    made = fleet([(name, device(), link()) for name in ("ann", "bob")], (slow, WIDE))
    with pytest.raises(InfeasibleError) as caught:
        planned(profile, optional(made))
    assert "2 clients" in str(caught.value)
