"""The example fleets' own plans beside their simulation, with servers that are 80% full."""

from __future__ import annotations

from pathlib import Path

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.rehearse import rehearse
from flexp.planner.resolve import read_fleet
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link, planned

EXAMPLES = Path(__file__).parents[2] / "examples"
LOAD = 0.8


def loaded(made: ResolvedFleet) -> ResolvedFleet:
    """With servers that are as much slower as the policy then allows more of them."""
    factor = made.policy.server_utilisation / LOAD
    (server,) = made.servers
    speed = server.device.training_flops_per_second * factor
    slower = server.device.model_copy(update={"training_flops_per_second": speed})
    policy = made.policy.model_copy(update={"server_utilisation": LOAD})
    servers = (server.model_copy(update={"device": slower}),)
    return made.model_copy(update={"servers": servers, "policy": policy})


@pytest.mark.parametrize(("name", "steps"), [("office-8", 300), ("factory-200", 60)])
def test_plans_hold_within_a_tenth(profile: Profile, name: str, steps: int) -> None:
    made = loaded(read_fleet(EXAMPLES / f"{name}.yaml"))
    plan = planned(profile, made)
    assert LOAD - 0.05 < plan.servers[0].utilisation <= LOAD
    for seen in rehearse(plan, {16: profile}, made, steps):
        mean, median, high = map(abs, seen.errors)
        assert max(mean, median) < 0.1, seen
        assert high < 0.15, seen


def test_without_jitter_a_client_alone_takes_what_the_plan_says(profile: Profile) -> None:
    made = fleet([("a", device(gflops=40), link())])
    plan = planned(profile, made)
    (seen,) = rehearse(plan, {16: profile}, made, steps=3, jitter=0.0)
    assert seen.errors[0] == pytest.approx(0.0, abs=1e-9)


def test_entries_keep_their_order_over_several_machines(profile: Profile) -> None:
    made = fleet([(f"c{i}", device(gflops=20 + i), link()) for i in range(3)])
    servers = (made.server.model_copy(update={"count": 2}),)
    made = made.model_copy(update={"servers": servers})
    plan = planned(profile, made)
    seen = rehearse(plan, {16: profile}, made, steps=10)
    assert [one.client for one in seen] == list(plan.clients)
