from __future__ import annotations

from typing import Any

import pytest
from flexp.planner.fleet import Policy, ResolvedFleet
from flexp.planner.options import (
    C2,
    C3,
    C7,
    C8,
    Option,
    broken_limits,
    client_options,
    depth_costs,
    fleet_options,
    option,
)
from flexp.profiler import costs
from flexp.profiler.placement import Placement
from flexp.profiler.profile import Profile

from .conftest import MiB, device, fleet, link


def test_one_cost_per_depth(profile: Profile) -> None:
    found = depth_costs(profile, Policy(codec="int8", server_side="aligned"))
    assert [cost.depth for cost in found] == [1, 2, 3, 4, 5]
    third = found[2]
    assert third.model_memory_bytes == costs.client_peak_bytes(profile, Placement(3), 0)
    assert third.device_flops == costs.client_flops(profile, Placement(3))
    assert third.server_flops == costs.server_flops(profile, Placement(3))
    assert third.server_memory_bytes == costs.server_client_bytes(profile, Placement(3), "aligned")
    assert (third.up_bytes, third.down_bytes, third.round_trips) == costs.wire_bytes(
        profile, Placement(3), "int8"
    )


def test_step_seconds_by_hand(profile: Profile) -> None:
    """Device 2 GFLOP at 4 GFLOP/s, 1 MB up at 8 Mbit/s, 2 MB down at 16 Mbit/s, twice 50 ms,
    server 3 GFLOP at 30 GFLOP/s: 0.5 + (1 + 1 + 0.1) + 0.1 s."""
    cost = depth_costs(profile, Policy())[0].__class__(
        depth=1,
        model_memory_bytes=7,
        device_flops=2 * 10**9,
        server_flops=3 * 10**9,
        server_memory_bytes=11,
        up_bytes=10**6,
        down_bytes=2 * 10**6,
        round_trips=2,
    )
    made = fleet(
        [("a", device(gflops=4), link(up=8, down=16, rtt=0.05))], (device(gflops=30), link(up=99))
    )
    found = option(cost, made.clients[0], made.server)
    assert found.device_seconds == pytest.approx(0.5)
    assert found.wire_seconds == pytest.approx(2.1)
    assert found.server_seconds == pytest.approx(0.1)
    assert found.step_seconds == pytest.approx(2.7)
    assert found.peak_memory_bytes == 350 * MiB + 7
    assert found.server_memory_bytes == 11
    assert found.server_load == pytest.approx(0.1 / 2.7)
    assert found.up_bits_per_second == pytest.approx(8e6 / 2.7)
    assert found.down_bits_per_second == pytest.approx(16e6 / 2.7)


def test_the_slower_end_of_the_wire_counts(profile: Profile) -> None:
    cost = depth_costs(profile, Policy())[0]
    slow_server = (device(), link(up=4, down=2, rtt=5))
    made = fleet([("a", device(), link(up=50, down=100, rtt=0))], slow_server)
    found = option(cost, made.clients[0], made.server)
    assert found.wire_seconds == pytest.approx(8 * cost.up_bytes / 2e6 + 8 * cost.down_bytes / 4e6)


CHOICE = Option(
    depth=2,
    peak_memory_bytes=400 * MiB,
    up_bytes=600,
    down_bytes=400,
    device_seconds=1.0,
    wire_seconds=0.5,
    server_seconds=0.5,
    step_seconds=2.0,
    server_memory_bytes=1,
)
LIMITS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"usable_mib": 400}, set()),
    ({"usable_mib": 399}, {C2}),
    ({"budget": 10_000}, set()),
    ({"budget": 9_999}, {C3}),
    ({"deadline": 2.0}, set()),
    ({"deadline": 1.999}, {C7}),
    ({"min_depth": 2}, set()),
    ({"min_depth": 3}, {C8}),
    ({"usable_mib": 399, "budget": 1, "deadline": 0.1, "min_depth": 5}, {C2, C3, C7, C8}),
]


@pytest.mark.parametrize(("given", "broken"), LIMITS)
def test_own_limits_at_their_edges(given: dict[str, Any], broken: set[str]) -> None:
    made = fleet(
        [
            (
                "a",
                device(usable_mib=given.get("usable_mib", 4096)),
                link(data_budget_bytes=given.get("budget")),
                given.get("min_depth", 1),
            )
        ],
        steps_per_client=10,
        step_deadline_seconds=given.get("deadline"),
    )
    assert broken_limits(CHOICE, made.clients[0], made.policy) == broken


def test_only_possible_depths_remain(profile: Profile) -> None:
    every = depth_costs(profile, Policy())
    runtime = 350 * MiB
    third_mib = (runtime + every[2].model_memory_bytes) // MiB + 1
    made = fleet([("a", device(usable_mib=third_mib), link(), 2)])
    assert [o.depth for o in client_options(every, made.clients[0], made)] == [2, 3]


def test_equal_devices_share_their_options(profile: Profile, office: ResolvedFleet) -> None:
    ann, bob, cat, *_ = fleet_options(depth_costs(profile, office.policy), office)
    assert ann is bob
    assert ann != cat
