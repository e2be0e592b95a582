"""What a step costs a client under an algorithm, as the planner counts it: time, bytes, FLOPs and
memory, with batches of full length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...planner.fleet import Policy, ResolvedServer
from ...planner.menu import Variant, demand
from ...profiler.costs import STATE_COPIES, UPDATE_COPIES, ServerSide
from ...profiler.placement import Placement, checkpointed
from ...profiler.profile import Profile, UnitProfile
from ..fleet_clock import StepTimes
from .cell import Member


@dataclass(frozen=True, kw_only=True)
class StepCost:
    times: StepTimes
    up_bytes: int
    down_bytes: int
    device_flops: int
    peak_memory_bytes: int
    """Of the device."""


def split_cost(
    profile: Profile,
    member: Member,
    depth: int,
    server: ResolvedServer,
    server_side: ServerSide,
    *,
    reference: bool,
) -> StepCost:
    """Of a client that keeps `depth` blocks and leaves the rest to a server. With `reference` it
    also runs them as pre-trained, for the alignment of features."""
    placement = Placement(depth, member.top, member.head, member.checkpointing)
    policy = Policy(server_side=server_side, labels_may_leave=member.head == "server")
    asked = demand(profile, Variant(placement, member.codec, profile.settings.batch), policy)
    extra = sum(unit.forward_flops for unit in profile.units[: depth + 1]) if reference else 0
    first, *rest = asked.device_flops
    flops = (first + extra, *rest)
    up_rate = min(member.link.up_bits_per_second, server.link.down_bits_per_second)
    down_rate = min(member.link.down_bits_per_second, server.link.up_bits_per_second)
    visits = asked.visits
    times = StepTimes(
        device_seconds=tuple(f / member.device.training_flops_per_second for f in flops),
        up_seconds=(8 * asked.up_bytes / up_rate / visits,) * visits,
        server_seconds=tuple(
            f / server.device.training_flops_per_second for f in asked.server_flops
        ),
        down_seconds=(8 * asked.down_bytes / down_rate / visits,) * visits,
        round_trip_seconds=member.link.rtt_seconds,
        up_share=up_rate / server.link.down_bits_per_second,
        down_share=down_rate / server.link.up_bits_per_second,
    )
    return StepCost(
        times=times,
        up_bytes=asked.up_bytes,
        down_bytes=asked.down_bytes,
        device_flops=sum(flops),
        peak_memory_bytes=member.device.runtime_bytes + asked.model_memory_bytes,
    )


def whole_cost(profile: Profile, member: Member, server: ResolvedServer) -> StepCost:
    """Of a client that holds the whole model."""
    flops = whole_flops(profile)
    shares = _shares(member, server)
    return StepCost(
        times=StepTimes(
            device_seconds=(flops / member.device.training_flops_per_second,),
            round_trip_seconds=member.link.rtt_seconds,
            up_share=shares[0],
            down_share=shares[1],
        ),
        up_bytes=0,
        down_bytes=0,
        device_flops=flops,
        peak_memory_bytes=member.device.runtime_bytes
        + whole_memory_bytes(profile, member.checkpointing),
    )


def _shares(member: Member, server: ResolvedServer) -> tuple[float, float]:
    up, down = server.link.down_bits_per_second, server.link.up_bits_per_second
    return (
        min(1.0, member.link.up_bits_per_second / up),
        min(1.0, member.link.down_bits_per_second / down),
    )


def whole_flops(profile: Profile) -> int:
    """Of one step of an unsplit model."""
    return sum(unit.forward_flops + unit.backward_flops for unit in profile.units)


def whole_memory_bytes(profile: Profile, checkpointing: bool = False) -> int:
    """Peak bytes of unsplit training above the runtime, by the model of profiler/costs.py: weights
    and optimizer state, and the larger one of a step and the optimizer's update.

    Example: two units with P = 100 and 50, G = 10 each, S = 20 and 5, Tf = Tb = 8 and a largest
    tensor of 10, AdamW: 150 + 40 + max(38, 20 + 20) = 230 bytes. 38 is the first unit's backward
    pass, beside which the second one's gradient is kept: 20 + 10 + 8.
    """
    units = [
        checkpointed(unit) if checkpointing and unit.name.startswith("block.") else unit
        for unit in profile.units
    ]
    gradients = sum(unit.trainable_bytes for unit in units)
    state = STATE_COPIES[profile.settings.optimizer] * gradients
    largest = max(unit.largest_trainable_bytes for unit in units)
    update = gradients + UPDATE_COPIES[profile.settings.optimizer] * largest
    weights = sum(unit.parameter_bytes for unit in units)
    return weights + state + max(max(_live_bytes(units)), update)


def _live_bytes(units: list[UnitProfile]) -> Iterator[int]:
    held = gradients = 0
    for unit in units:
        yield held + unit.forward_transient_bytes
        held += unit.saved_bytes
    for unit in reversed(units):
        yield held + gradients + unit.backward_transient_bytes
        held -= unit.saved_bytes
        gradients += unit.trainable_bytes


def transfer_seconds(bytes_: int, member: Member, server: ResolvedServer) -> tuple[float, float]:
    """Of a message of so many bytes, up and down."""
    up = min(member.link.up_bits_per_second, server.link.down_bits_per_second)
    down = min(member.link.down_bits_per_second, server.link.up_bits_per_second)
    return 8 * bytes_ / up, 8 * bytes_ / down
