from __future__ import annotations

import pytest
from flexp.errors import InfeasibleError
from flexp.planner.diagnose import explain_shared
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.ilp import group_clients
from flexp.planner.limits import SharedLimit
from flexp.planner.solve import make_plan
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link
from .test_ilp import at, memory_limit

SLOW = link("slow", up=10, down=10, rtt=0.05)
"""2.6 s a step for the wire alone, in bf16."""
METERED = link("metered", data_budget_bytes=200 * 10**6)
"""A run of 100 steps moves 315 MB in bf16, 158 MB in int8."""

CLIENTS: dict[str, tuple[ResolvedFleet, str, str]] = {
    # case -> (fleet, message, hint); a client needs 436 MiB at depth 1, 460, 483, 507, 531 at 5
    "memory": (
        fleet([("tab", device("tablet", usable_mib=430), link())]),
        "tab, at depth 1 and batch 16, needs 435 MiB of memory; its tablet offers 430 MiB "
        "(C2_device_memory)",
        "tab: 2.9 MiB more usable memory",
    ),
    "memory for the blocks it must keep": (
        fleet([("tab", device("tablet", usable_mib=470), link(), 3)]),
        "tab, at depth 3 and batch 16, needs 483 MiB of memory; its tablet offers 470 MiB "
        "(C2_device_memory)",
        "tab: any one of these is enough: 10.5 MiB more usable memory; or min_depth 2 instead of 3",
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
        "far: a step deadline of 2.7 s",
    ),
    "more blocks than the server can give": (
        fleet([("a", device(), link(), 6)]),
        "a must keep 6 blocks (C8_min_depth), but minilm-l6 has 6 and the server keeps at least "
        "one",
        "a: min_depth 5 instead of 6",
    ),
    "two limits at every depth": (
        fleet([("a", device("tablet", usable_mib=430), METERED)]),
        "a, at depth 1 and batch 16, needs 435 MiB of memory; its tablet offers 430 MiB "
        "(C2_device_memory); moves 302 MiB in 100 steps; its link metered allows 191 MiB (C3_wire)",
        "a: no single change is enough; for depth 1: 2.9 MiB more usable memory and a data budget "
        "of 302 MiB",
    ),
    "memory of one depth or speed of another": (
        # depth 2 is too slow, depth 1 breaks min_depth: either of two changes
        fleet([("a", device(gflops=10), link(), 2)], step_deadline_seconds=1.5),
        "a, at depth 2 and batch 16, takes 1.85 s a step; the deadline is 1.5 s (C7_step_deadline)",
        "a: any one of these is enough: a step deadline of 1.85 s; or min_depth 1 instead of 2",
    ),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_clients_without_an_option(profile: Profile, case: str) -> None:
    made, message, hint = CLIENTS[case]
    with pytest.raises(InfeasibleError) as caught:
        make_plan(profile, made)
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert caught.value.exit_code == 11


ENOUGH: list[ResolvedFleet] = [
    # the changes that the hints above name, applied
    fleet([("tab", device("tablet", usable_mib=436), link())]),
    fleet([("tab", device("tablet", usable_mib=484), link(), 3)]),
    fleet([("tab", device("tablet", usable_mib=470), link(), 2)]),
    fleet([("van", device(), METERED.model_copy(update={"data_budget_bytes": 302 * 2**20}))]),
    fleet([("van", device(), METERED)], steps_per_client=63),
    fleet([("van", device(), METERED)], codec="int8"),
    fleet([("far", device(gflops=100), SLOW)], step_deadline_seconds=2.7),
    fleet([("a", device(), link(), 5)]),
    fleet([("a", device(gflops=10), link(), 2)], step_deadline_seconds=1.85),
    fleet([("a", device(gflops=10), link(), 1)], step_deadline_seconds=1.5),
]


@pytest.mark.parametrize("changed", ENOUGH)
def test_the_changes_are_enough(profile: Profile, changed: ResolvedFleet) -> None:
    assert make_plan(profile, changed).objective.status == "optimal"


def test_many_stuck_clients_are_counted(profile: Profile) -> None:
    small = device("tablet", usable_mib=430)
    made = fleet([*((f"t{i}", small, link()) for i in range(8)), ("ok", device(), link())])
    with pytest.raises(InfeasibleError) as caught:
        make_plan(profile, made)
    lines = caught.value.message.splitlines()
    assert [line.split(",")[0] for line in lines[:-1]] == ["t0", "t1", "t2", "t3", "t4"]
    assert lines[-1] == "and 3 more clients cannot take part"
    assert "ok" not in caught.value.message


FIVE = [(f"c{i}", device(gflops=30), link(up=100, down=100, rtt=0)) for i in range(5)]
WIDE = link(up=10_000, down=10_000)
SHARED: dict[str, tuple[ResolvedFleet, str, str]] = {
    "memory": (
        fleet(FIVE, (device(gflops=900, usable_mib=500), WIDE)),
        "memory of the server (C4_server_memory): 5 clients need at least 624 MiB, each at the "
        "depth that asks least of it; the limit is 500 MiB",
        "C4_server_memory: a server with more usable memory, or fewer clients (about 2 like these "
        "fit)",
    ),
    "memory of the model alone": (
        fleet(FIVE, (device(gflops=900, usable_mib=380), WIDE)),
        "memory of the server (C4_server_memory): 5 clients need at least 624 MiB, each at the "
        "depth that asks least of it; the limit is 380 MiB",
        "C4_server_memory: the model alone is too large for the server; a server with more usable "
        "memory, or fewer clients",
    ),
    "compute": (
        fleet(FIVE, (device(gflops=20), WIDE)),
        "share of the server's compute (C5_server_compute): 5 clients need at least 102%, each at "
        "the depth that asks least of it; the limit is 60%",
        "C5_server_compute: a faster server, devices with memory for deeper splits, or fewer "
        "clients (about 2 like these fit)",
    ),
    "link up": (
        fleet(FIVE, (device(gflops=9000), link(up=60, down=10_000))),
        "rate from the server to the clients (C6_server_link_up): 5 clients need at least "
        "39.9 Mbit/s, each at the depth that asks least of it; the limit is 36 Mbit/s",
        "C6_server_link_up: a faster link of the server, a codec with fewer bytes, or fewer "
        "clients (about 4 like these fit)",
    ),
    "link down": (
        fleet(FIVE, (device(gflops=9000), link(up=10_000, down=60))),
        "rate from the clients to the server (C6_server_link_down): 5 clients need at least "
        "39.9 Mbit/s, each at the depth that asks least of it; the limit is 36 Mbit/s",
        "C6_server_link_down: a faster link of the server, a codec with fewer bytes, or fewer "
        "clients (about 4 like these fit)",
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_one_shared_limit_alone(profile: Profile, case: str) -> None:
    made, message, hint = SHARED[case]
    with pytest.raises(InfeasibleError) as caught:
        make_plan(profile, made)
    assert caught.value.message == message
    assert caught.value.hint == hint


def test_limits_that_only_clash_together() -> None:
    """Deep saves memory, shallow saves compute; each row can be kept, but not both at once. A
    third row has room and must not be blamed."""
    options = (
        at(1, 1.0, server_seconds=1.0, memory=9),
        at(2, 1.0001, server_seconds=5.0, memory=1),
    )
    groups = group_clients(["a", "b"], [options, options])
    compute = SharedLimit("C5_x", 5.0, 0.0, lambda o: o.server_seconds, "compute", "", str)
    roomy = SharedLimit("C6_x", 1e6, 0.0, lambda o: o.depth, "link", "", str)
    error = explain_shared(groups, [roomy, memory_limit(9), compute], 10.0)
    assert error.hint == "relax one of them: C4_server_memory, C5_x"
    assert "can be kept alone, but not together" in error.message
    assert "compute (C5_x): 2 clients need at least 2.01" in error.message
    assert "C6_x" not in error.message
