"""What training takes without a split: on one server with all data, and whole on each device."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiler.costs import STATE_COPIES, UPDATE_COPIES
from ...profiler.profile import Profile
from ..fleet import ResolvedClient, ResolvedFleet


def step_flops(profile: Profile) -> int:
    """Forward and backward of the whole model, one batch."""
    return sum(unit.forward_flops + unit.backward_flops for unit in profile.units)


def trainable_bytes(profile: Profile) -> int:
    """What fedavg sends each way: the weights that train."""
    return sum(unit.trainable_bytes for unit in profile.units)


def parameter_bytes(profile: Profile) -> int:
    return sum(unit.parameter_bytes for unit in profile.units)


def whole_model_peak_bytes(profile: Profile, runtime_bytes: int) -> int:
    """Peak resident bytes of a process that trains every unit: `client_peak_bytes` of
    profiler/costs.py without its exchanges.

    Example: two units of P=100 G=10 S=50 Tf=20 Tb=30, tensors of 10: weights 200, AdamW's state 40,
    live 100 + 30 (backward of the last unit), update 20 + 20: 370 bytes and the runtime.
    """
    units, optimizer = profile.units, profile.settings.optimizer
    gradients_of_all = sum(unit.trainable_bytes for unit in units)
    live, saved, gradients = [], 0, 0
    for unit in units:
        live.append(saved + unit.forward_transient_bytes)
        saved += unit.saved_bytes
    for unit in reversed(units):
        live.append(saved + gradients + unit.backward_transient_bytes)
        saved -= unit.saved_bytes
        gradients += unit.trainable_bytes
    largest = max(unit.largest_trainable_bytes for unit in units)
    update = gradients_of_all + UPDATE_COPIES[optimizer] * largest
    state = STATE_COPIES[optimizer] * gradients_of_all
    return runtime_bytes + parameter_bytes(profile) + state + max(max(live), update)


@dataclass(frozen=True)
class Central:
    """All data on the fleet's servers."""

    server_hours: float
    """Of machines, for one run."""
    server_wh: float
    model_bytes: int
    """Down to every device, once a run."""


def central(profile: Profile, fleet: ResolvedFleet) -> Central:
    """The same samples as the fleet's run, spread over all servers by their speed."""
    speed = sum(
        s.count * s.accelerators * s.device.training_flops_per_second for s in fleet.servers
    )
    machines = sum(server.count for server in fleet.servers)
    steps = fleet.members * fleet.policy.steps_per_client
    hours = steps * step_flops(profile) / speed / 3600
    watts = sum(server.count * (server.energy_watts or 0.0) for server in fleet.servers)
    return Central(hours * machines, hours * watts, parameter_bytes(profile) * fleet.members)


@dataclass(frozen=True)
class OnDevice:
    """One client that trains the whole model."""

    hours: float
    """For a run, transfers included."""
    wh: float
    """0 where its power is not known."""
    run_bytes: float


def fits(profile: Profile, client: ResolvedClient) -> bool:
    """Whether the whole model trains in the client's memory."""
    device = client.device
    return whole_model_peak_bytes(profile, device.runtime_bytes) <= device.usable_memory_bytes


def on_device(profile: Profile, client: ResolvedClient, steps: int, local_steps: int) -> OnDevice:
    """`steps` of the whole model, what trains exchanged after every `local_steps`."""
    compute = steps * step_flops(profile) / client.device.training_flops_per_second
    exchanges = -(-steps // local_steps)
    bits = 8 * trainable_bytes(profile)
    link = client.link
    wire = bits / link.up_bits_per_second + bits / link.down_bits_per_second + link.rtt_seconds
    return OnDevice(
        hours=(compute + exchanges * wire) / 3600,
        wh=compute * (client.device.watts or 0.0) / 3600,
        run_bytes=2.0 * exchanges * trainable_bytes(profile),
    )
