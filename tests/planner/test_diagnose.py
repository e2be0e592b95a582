"""Named fleets without a plan: what is said, and that it is enough."""

from __future__ import annotations

import pytest
from flexp.errors import InfeasibleError
from flexp.planner.diagnose import applied, diagnose
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan, make_plan
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link

SLOW = link("slow", up=10, down=10, rtt=0.05)
"""2.6 s a step for the wire alone, in bf16."""
METERED = link("metered", data_budget_bytes=200 * 10**6)
TINY = link("tiny", data_budget_bytes=10**8)
SMALL = device("tablet", usable_mib=430)

CLIENTS: dict[str, tuple[ResolvedFleet, str, str]] = {
    "memory": (
        fleet([("tab", SMALL, link())]),
        "tab, at depth 1 and batch 16, needs 433 MiB of memory; its tablet offers 430 MiB "
        "(C2_device_memory)",
        "tab: 2.9 MiB more usable memory",
    ),
    "memory for the blocks it must keep": (
        fleet([("tab", device("tablet", usable_mib=470), link(), 3)]),
        "tab, at depth 3 and batch 16, needs 483 MiB of memory; its tablet offers 470 MiB "
        "(C2_device_memory)",
        "tab: any one of these is enough: 10.5 MiB more usable memory; or checkpointing allowed; "
        "or min_depth 2 instead of 3",
    ),
    "data budget": (
        fleet([("van", device(), METERED)]),
        "van, at depth 1 and batch 16, moves 302 MiB in 100 steps; its link metered allows 191 MiB "
        "(C3_wire)",
        "van: any one of these is enough: a data budget of 302 MiB; or at most 63 steps per client "
        "instead of 100; or codec int8 instead of bf16",
    ),
    "deadline": (
        fleet([("far", device(gflops=100), SLOW)], step_deadline_seconds=2),
        "far, at depth 1 and batch 16, takes 2.7 s a step; the deadline is 2 s (C7_step_deadline)",
        "far: any one of these is enough: a step deadline of 2.7 s; or codec int8 instead of bf16",
    ),
    "more blocks than the server can give": (
        fleet([("a", device(), link(), 6)]),
        "a must keep 6 blocks (C8_depth), but minilm-l6 has 6 and the server keeps at least one",
        "a: min_depth 5 instead of 6",
    ),
    "two limits at every depth": (
        fleet([("a", SMALL, TINY)]),
        "a, at depth 1 and batch 16, needs 433 MiB of memory; its tablet offers 430 MiB "
        "(C2_device_memory); moves 302 MiB in 100 steps; its link tiny allows 95.4 MiB (C3_wire)",
        "a: any one of these is enough: 2.9 MiB more usable memory and a data budget of 302 MiB; "
        "or 2.9 MiB more usable memory and at most 31 steps per client instead of 100",
    ),
    "speed of one depth or blocks of another": (
        fleet([("a", device(gflops=10), link(), 2)], step_deadline_seconds=1.5),
        "a, at depth 2 and batch 16, takes 1.85 s a step; the deadline is 1.5 s (C7_step_deadline)",
        "a: any one of these is enough: a step deadline of 1.85 s; or min_depth 1 instead of 2",
    ),
    "equal clients": (
        fleet([*((f"t{i}", SMALL, link()) for i in range(8)), ("ok", device(), link())]),
        "t0 and 7 more like it, at depth 1 and batch 16, needs 433 MiB of memory; its tablet "
        "offers 430 MiB (C2_device_memory)",
        "t0 and 7 more like it: 2.9 MiB more usable memory",
    ),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_clients_without_a_variant(profile: Profile, case: str) -> None:
    made, message, hint = CLIENTS[case]
    with pytest.raises(InfeasibleError) as caught:
        make_plan({16: profile}, made)
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert caught.value.exit_code == 11


@pytest.mark.parametrize("case", CLIENTS)
def test_each_change_is_enough(profile: Profile, case: str) -> None:
    made, _, _ = CLIENTS[case]
    profiles = {16: profile}
    found = find_plan(profiles, made, Wanted())
    assert isinstance(found, NoPlan)
    (remedy,) = diagnose(profiles, made, found.stuck).remedies
    for option in remedy.options:
        assert make_plan(profiles, applied(made, option)).objectives[0].status == "optimal"


def test_optional_clients_are_not_in_the_way(profile: Profile) -> None:
    made = fleet([("ok", device(), link()), ("tab", SMALL, link())])
    optional = made.clients[1].model_copy(update={"optional": True})
    plan = make_plan(
        {16: profile}, made.model_copy(update={"clients": (made.clients[0], optional)})
    )
    assert [absent.name for absent in plan.absent] == ["tab"]


FIVE = [(f"c{i}", device(gflops=30), link(up=100, down=100, rtt=0)) for i in range(5)]
WIDE = link(up=10_000, down=10_000)
SHARED: dict[str, tuple[ResolvedFleet, tuple[str, ...], tuple[str, ...]]] = {
    # case -> (fleet, beginnings of the reasons, words of the changes)
    "server memory": (
        fleet(FIVE, (device(gflops=900, usable_mib=500), WIDE)),
        ("memory of the server (C4_server_memory): 5 clients need at least 621 MiB; ",),
        ("621 MiB of usable memory", "leaving out 3 of 5 clients"),
    ),
    "a deadline that only waiting exceeds": (
        fleet(FIVE, (device(gflops=120), WIDE), step_deadline_seconds=1.25),
        (
            "these limits can't be kept together",
            "compute of the server (C5_server_compute)",
            "step deadline (C7_step_deadline): each client alone keeps 1.25 s, but waiting",
        ),
        ("for the accelerator", "a step deadline of", "leaving out 2 of 5 clients"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SHARED)
def test_shared_limits(profile: Profile, case: str) -> None:
    made, reasons, words = SHARED[case]
    found = diagnose({16: profile}, made, ())
    assert len(found.reasons) == len(reasons)
    for line, beginning in zip(found.reasons, reasons, strict=True):
        assert line.startswith(beginning)
    (remedy,) = found.remedies
    for option, word in zip(remedy.options, words, strict=True):
        assert word in option[0].text
        assert make_plan({16: profile}, applied(made, option)).clients
