"""What a step costs: as planned, and for a whole model on a device."""

from __future__ import annotations

from pathlib import Path

import pytest
from flexp.planner.fleet import Policy, ResolvedClient
from flexp.planner.menu import Variant, demand
from flexp.planner.predict import predict_step
from flexp.profiler.placement import Placement
from flexp.runtime.comparison.costs import (
    split_cost,
    transfer_seconds,
    whole_cost,
    whole_flops,
    whole_memory_bytes,
)

from .offices import LAN, SERVER, small_cell, small_profile


@pytest.mark.parametrize("depth", [1, 3])
def test_a_split_step_costs_what_the_plan_says(depth: int) -> None:
    member = small_cell(Path("tiny")).members["bo.2"]
    profile = small_profile()
    cost = split_cost(profile, member, depth, SERVER, "shared", reference=False)
    variant = Variant(Placement(depth), "fp32", 4)
    asked = demand(profile, variant, Policy())
    client = ResolvedClient(name="bo.2", device=member.device, link=LAN, min_depth=1)
    planned = predict_step(asked, variant, client, SERVER)
    times = cost.times
    assert sum(times.device_seconds) == pytest.approx(planned.device_seconds)
    wire = sum(times.up_seconds) + sum(times.down_seconds) + 2 * times.round_trip_seconds
    assert wire == pytest.approx(planned.wire_seconds)
    assert sum(times.server_seconds) == pytest.approx(planned.server_seconds)
    assert (cost.up_bytes, cost.down_bytes) == (asked.up_bytes, asked.down_bytes)
    assert cost.peak_memory_bytes == member.device.runtime_bytes + asked.model_memory_bytes
    assert (times.up_share, times.down_share) == (0.1, 0.2)


def test_the_reference_of_aligned_features_is_a_forward_pass_more() -> None:
    """Two blocks of 1 GFLOP at 5 GFLOP/s: 0.4 s."""
    member = small_cell(Path("tiny")).members["bo.2"]
    without, given = (
        split_cost(small_profile(), member, 2, SERVER, "shared", reference=reference)
        for reference in (False, True)
    )
    assert given.device_flops - without.device_flops == 2e9
    assert given.times.device_seconds[0] - without.times.device_seconds[0] == pytest.approx(0.4)


def test_a_whole_model_on_a_device() -> None:
    """Four blocks of 3 GFLOP and a head of 0.3 at 5 GFLOP/s. Memory: six units of 100 bytes, twice
    32 + 12 trained; a step at most keeps what all six saved, 300, and the head's backward pass, 30,
    or in the backward pass of the block below 250 + 12 + 30."""
    profile, member = small_profile(), small_cell(Path("tiny")).members["bo.2"]
    assert whole_flops(profile) == pytest.approx(12.3e9)
    cost = whole_cost(profile, member, SERVER)
    assert cost.times.device_seconds == pytest.approx((2.46,))
    assert (cost.up_bytes, cost.times.visits) == (0, 0)
    assert whole_memory_bytes(profile) == 600 + 2 * 44 + 330
    assert cost.peak_memory_bytes == member.device.runtime_bytes + 600 + 88 + 330


def test_weights_take_the_slower_link() -> None:
    member = small_cell(Path("tiny")).members["ada"]
    assert transfer_seconds(10**6, member, SERVER) == (1.0, 0.5)
