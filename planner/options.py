"""What each depth costs one client, and which of its own limits a depth would break."""

from __future__ import annotations

from dataclasses import dataclass

from ..profiler.costs import (
    client_flops,
    client_peak_bytes,
    server_client_bytes,
    server_flops,
    wire_bytes,
)
from ..profiler.placement import Placement
from ..profiler.profile import Profile
from .fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer

C2 = "C2_device_memory"
C3 = "C3_wire"
C7 = "C7_step_deadline"
C8 = "C8_min_depth"


@dataclass(frozen=True, order=True)
class DepthCost:
    """What a depth costs on any device: a client's figures follow by its speed and link."""

    depth: int
    model_memory_bytes: int
    """Peak on the device above `runtime_bytes`."""
    device_flops: int
    server_flops: int
    server_memory_bytes: int
    up_bytes: int
    down_bytes: int
    round_trips: int


@dataclass(frozen=True, order=True)
class Option:
    """One depth for one client; bytes and seconds are per training step."""

    depth: int
    peak_memory_bytes: int
    up_bytes: int
    down_bytes: int
    device_seconds: float
    wire_seconds: float
    server_seconds: float
    step_seconds: float
    server_memory_bytes: int
    """What this client adds to the server's peak."""

    @property
    def server_load(self) -> float:
        """Share of the server's compute that the client fills, one step following the other."""
        return self.server_seconds / self.step_seconds

    @property
    def up_bits_per_second(self) -> float:
        return 8 * self.up_bytes / self.step_seconds

    @property
    def down_bits_per_second(self) -> float:
        return 8 * self.down_bytes / self.step_seconds


def depth_costs(profile: Profile, policy: Policy) -> tuple[DepthCost, ...]:
    """Depths 1 to L - 1, in order; computed once for the whole fleet."""
    costs = []
    for depth in range(1, profile.blocks):
        placement = Placement(depth)
        wire = wire_bytes(profile, placement, policy.allowed_codecs[0])
        costs.append(
            DepthCost(
                depth=depth,
                model_memory_bytes=client_peak_bytes(profile, placement, runtime_bytes=0),
                device_flops=client_flops(profile, placement),
                server_flops=server_flops(profile, placement),
                server_memory_bytes=server_client_bytes(profile, placement, policy.server_side),
                up_bytes=wire.up,
                down_bytes=wire.down,
                round_trips=wire.round_trips,
            )
        )
    return tuple(costs)


def option(cost: DepthCost, client: ResolvedClient, server: ResolvedServer) -> Option:
    """`cost` on this client's device and link.

    step = device FLOPs / device speed + up bits / up rate + down bits / down rate
         + round trips · RTT + server FLOPs / server speed;
    a rate is the lower one of the client's link and the server's.
    """
    up_rate = min(client.link.up_bits_per_second, server.link.down_bits_per_second)
    down_rate = min(client.link.down_bits_per_second, server.link.up_bits_per_second)
    device_seconds = cost.device_flops / client.device.training_flops_per_second
    wire_seconds = (
        8 * cost.up_bytes / up_rate
        + 8 * cost.down_bytes / down_rate
        + cost.round_trips * client.link.rtt_seconds
    )
    server_seconds = cost.server_flops / server.device.training_flops_per_second
    return Option(
        depth=cost.depth,
        peak_memory_bytes=client.device.runtime_bytes + cost.model_memory_bytes,
        up_bytes=cost.up_bytes,
        down_bytes=cost.down_bytes,
        device_seconds=device_seconds,
        wire_seconds=wire_seconds,
        server_seconds=server_seconds,
        step_seconds=device_seconds + wire_seconds + server_seconds,
        server_memory_bytes=cost.server_memory_bytes,
    )


def run_bytes(choice: Option, policy: Policy) -> int:
    """Bytes up and down of a whole run."""
    return (choice.up_bytes + choice.down_bytes) * policy.steps_per_client


def broken_limits(choice: Option, client: ResolvedClient, policy: Policy) -> frozenset[str]:
    """Labels of the client's own limits that `choice` breaks (C2, C3, C7, C8)."""
    broken = set()
    if choice.peak_memory_bytes > client.device.usable_memory_bytes:
        broken.add(C2)
    budget = client.link.data_budget_bytes
    if budget is not None and run_bytes(choice, policy) > budget:
        broken.add(C3)
    deadline = policy.step_deadline_seconds
    if deadline is not None and choice.step_seconds > deadline:
        broken.add(C7)
    if choice.depth < client.min_depth:
        broken.add(C8)
    return frozenset(broken)


def client_options(
    costs: tuple[DepthCost, ...], client: ResolvedClient, fleet: ResolvedFleet
) -> tuple[Option, ...]:
    """The depths that keep the client's own limits, shallowest first; may be empty."""
    every = (option(cost, client, fleet.server) for cost in costs)
    return tuple(choice for choice in every if not broken_limits(choice, client, fleet.policy))


def fleet_options(
    costs: tuple[DepthCost, ...], fleet: ResolvedFleet
) -> tuple[tuple[Option, ...], ...]:
    """`client_options` of every client, in order; equal devices share one tuple."""
    known: dict[tuple[object, ...], tuple[Option, ...]] = {}
    options = []
    for client in fleet.clients:
        key = (client.device, client.link, client.min_depth)
        if key not in known:
            known[key] = client_options(costs, client, fleet)
        options.append(known[key])
    return tuple(options)
