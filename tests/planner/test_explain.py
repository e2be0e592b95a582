"""Explanations of small fleets whose answers are known."""

from __future__ import annotations

from typing import Any

import pytest
from flexp.errors import FieldError
from flexp.planner.explain import explain_fleet
from flexp.planner.explain_client import explain_client
from flexp.planner.explanation import AbsentExplanation, ClientExplanation, FleetExplanation
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.solve import Wanted, make_plan
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link, planned

SLOW_SERVER = (device("old", gflops=40), link("s", 1000, 1000))
"""So slow that a device of 60 GFLOP/s keeps all that it may."""


def of_client(profile: Profile, made: ResolvedFleet, name: str, **wanted: Any) -> ClientExplanation:
    plan = planned(profile, made, **wanted)
    (found,) = explain_client(plan, {16: profile}, made, name)
    assert isinstance(found, ClientExplanation)
    return found


def of_fleet(profile: Profile, made: ResolvedFleet, **wanted: Any) -> FleetExplanation:
    asked = Wanted(**wanted)
    return explain_fleet(make_plan({16: profile}, made, asked), {16: profile}, made, asked)


LIMITS: dict[str, tuple[ResolvedFleet, str]] = {
    # what stops one block more -> (fleet, the limit in words)
    "memory": (
        fleet([("a", device("tab", 60, 470), link())], SLOW_SERVER),
        "a: needs 480 MiB of memory, 470 MiB usable (C2_device_memory)",
    ),
    "energy": (
        fleet(
            [("a", device("tab", 60).model_copy(update={"watts": 10.0}), link())],
            SLOW_SERVER,
            energy_budget_wh=0.13,
        ),
        "a: 0.1379 Wh a run, budget 0.13 Wh (C9_energy)",
    ),
    "depth": (
        ResolvedFleet.model_validate(
            (made := fleet([("a", device("tab", 60), link())], SLOW_SERVER)).model_copy(
                update={"clients": (made.clients[0].model_copy(update={"max_depth": 2}),)}
            )
        ),
        "a: 3 private blocks, at most 2 asked for (C8_depth)",
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_the_limit_that_stops_one_block_more(profile: Profile, case: str) -> None:
    made, words = LIMITS[case]
    found = of_client(profile, made, "a")
    assert found.more is not None
    assert found.more.broken == (words,)
    label = words.rpartition("(")[2].rstrip(")")
    use = next(use for use in found.uses if use.label == label)
    assert 0.7 < use.share <= 1
    assert found.next_deeper is None
    (stop,) = of_fleet(profile, made).stops
    assert (stop.label, stop.clients) == (label, 1)


def test_the_deadline_stops_one_block_more(profile: Profile) -> None:
    """At depth 2 the device alone takes more than the deadline."""
    made = fleet([("a", device(gflops=10), link())], SLOW_SERVER, step_deadline_seconds=3.6)
    found = of_client(profile, made, "a", objective="depth")
    assert found.more is not None and found.less is not None
    assert [text.rpartition(" ")[2] for text in found.more.broken] == ["(C7_step_deadline)"]
    assert found.less.broken == ()
    assert found.less.change == {"depth": 1.0}


def test_what_one_block_more_or_less_costs(
    profile: Profile, office: ResolvedFleet, office_plan: Plan
) -> None:
    """Nobody's change alone improves the plan, and what it costs is its step and the others'."""
    for client in office_plan.clients:
        (found,) = explain_client(office_plan, {16: profile}, office, client.name)
        assert isinstance(found, ClientExplanation)
        kept = [c for c in (found.more, found.less, found.next_best) if c and not c.broken]
        for choice in kept:
            own = choice.client.predicted.step_seconds - client.predicted.step_seconds
            assert choice.change["total"] == pytest.approx(own + choice.others_seconds)
            assert choice.change["total"] >= -1e-4 * office_plan.objectives[0].value
        if kept:
            assert found.next_best is not None
            best = min(choice.change["total"] for choice in kept)
            assert found.next_best.change["total"] == best


def test_next_best_is_the_second_of_all(profile: Profile) -> None:
    made = fleet([("a", device(gflops=60), link())], codecs=("fp32", "bf16", "int8"))
    found = of_client(profile, made, "a")
    assert (found.tried, found.allowed) == (14, 14)
    assert found.next_best is not None
    without = []
    for codec in ("fp32", "bf16", "int8"):
        for depth in range(1, 6):
            if (codec, depth) != (found.client.codec, found.client.depth):
                only = made.clients[0].model_copy(update={"min_depth": depth, "max_depth": depth})
                policy = made.policy.model_copy(update={"codecs": (codec,)})
                update = {"clients": (only,), "policy": policy}
                plan = planned(profile, made.model_copy(update=update))
                without.append(plan.objectives[0].value)
    assert found.next_best.values["total"] == pytest.approx(min(without))


def test_classes_members_and_strangers(profile: Profile) -> None:
    made = fleet([("pi", device(gflops=10), link())], (device(gflops=100), link("s", 1e4, 1e4)))
    pis = made.clients[0].model_copy(update={"count": 4})
    made = made.model_copy(update={"clients": (pis,)})
    plan = planned(profile, made)
    found = explain_client(plan, {16: profile}, made, "pi")
    assert sum(one.members for one in found) == 4
    (one,) = explain_client(plan, {16: profile}, made, "pi-3")
    assert isinstance(one, ClientExplanation)
    assert list(one.client.members) == ["pi-3"]
    with pytest.raises(FieldError, match="the fleet has no client 'pi-5'"):
        explain_client(plan, {16: profile}, made, "pi-5")


def test_why_an_optional_client_is_left_out(profile: Profile) -> None:
    made = fleet([("ok", device(), link()), ("tab", device("tablet", usable_mib=430), link())])
    optional = made.clients[1].model_copy(update={"optional": True})
    made = made.model_copy(update={"clients": (made.clients[0], optional)})
    (found,) = explain_client(planned(profile, made), {16: profile}, made, "tab")
    assert isinstance(found, AbsentExplanation)
    assert "needs 2.89 MiB more memory" in found.reason
    assert found.enough == ("2.89 MiB more usable memory",)


THREE = [(f"c{i}", device(gflops=30), link(up=100, down=100, rtt=0)) for i in range(3)]
WIDE = link(up=10_000, down=10_000)


def test_a_fleet_that_leaves_someone_out_is_weighed_by_the_others(profile: Profile) -> None:
    made = fleet([("ok", device(), link()), ("tab", device("tablet", usable_mib=430), link())])
    optional = made.clients[1].model_copy(update={"optional": True})
    found = of_fleet(profile, made.model_copy(update={"clients": (made.clients[0], optional)}))
    assert found.objective.name == "total"
    optimized, *others = found.strategies
    assert optimized.value == found.objective.value
    assert [result.broken for result in others] == [("tab: no depth from 1 fits its memory",)] * 2


def test_full_server_memory_and_what_a_tenth_more_gains(profile: Profile) -> None:
    made = fleet(THREE, (device(gflops=900, usable_mib=560), WIDE))
    found = of_fleet(profile, made)
    memory = found.shared[0]
    assert memory.label == "C4_server_memory"
    assert 0.9 < memory.share <= 1
    (gain,) = (gain for gain in found.gains if gain.label == "C4_server_memory")
    assert gain.more == "616 MiB of memory for server"
    server = made.server.model_copy(
        update={"device": device(gflops=900, usable_mib=616).model_copy(update={"name": "box"})}
    )
    again = planned(profile, made.model_copy(update={"servers": (server,)}))
    assert gain.value == pytest.approx(again.objectives[0].value, rel=1e-4)
    assert gain.change is not None and gain.change < 0
    assert gain.clients_changed >= 1


def test_the_price_of_a_privacy_floor(profile: Profile) -> None:
    made = fleet([("a", device(gflops=2), link(), 3), ("b", device(gflops=2), link())])
    found = of_fleet(profile, made)
    (gain,) = found.gains
    assert (gain.label, gain.more) == ("C8_depth", "one block less asked for of a (min_depth)")
    eased = made.clients[0].model_copy(update={"min_depth": 2})
    again = planned(profile, made.model_copy(update={"clients": (eased, made.clients[1])}))
    assert gain.value == pytest.approx(again.objectives[0].value, rel=1e-4)


def test_a_fleet_with_plenty_of_everything(profile: Profile) -> None:
    found = of_fleet(profile, fleet([("a", device(), link())]))
    assert found.gains == ()
    assert [use.share < 0.1 for use in found.shared] == [True] * 4
    assert sum(found.time.values()) == pytest.approx(1)
    assert [result.strategy for result in found.strategies] == [
        "optimized",
        "static",
        "memory-only",
    ]
