"""One client's step in plain Python: what a choice takes on a device, and the limits it breaks.

The same figures of all choices are in planner/figures.py, for the solver; those of all clients of a
machine in planner/guests.py, for what is promised and checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from ..catalog.units import format_bytes, format_seconds
from .fleet import Policy, ResolvedClient, ResolvedServer
from .menu import Demand, Variant
from .solver.problem import FloatArray

N = TypeVar("N", float, FloatArray)

C2 = "C2_device_memory"
C3 = "C3_wire"
C7 = "C7_step_deadline"
C8 = "C8_depth"
C9 = "C9_energy"


class Step(NamedTuple, Generic[N]):
    """Seconds of one step of one client, or of many, without waiting at the server."""

    device_seconds: N
    up_seconds: N
    down_seconds: N
    round_trip_seconds: N
    """Of all visits together."""
    server_seconds: N
    hidden_seconds: N
    """What micro-batches overlap: the parts above add up to this much more than the step."""

    @property
    def wire_seconds(self) -> N:
        return self.up_seconds + self.down_seconds + self.round_trip_seconds

    @property
    def step_seconds(self) -> N:
        return self.device_seconds + self.wire_seconds + self.server_seconds - self.hidden_seconds


def predict_step(
    demand: Demand, variant: Variant, client: ResolvedClient, server: ResolvedServer
) -> Step[float]:
    """The formula of docs/planner.md, "Time"."""
    own, far = client.link, server.link
    up = 8 * demand.up_bytes / min(own.up_bits_per_second, far.down_bits_per_second)
    down = 8 * demand.down_bytes / min(own.down_bits_per_second, far.up_bits_per_second)
    device = demand.all_device_flops / client.device.training_flops_per_second
    work = demand.all_server_flops / server.device.training_flops_per_second
    hidden, parts = 0.0, variant.micro_batches
    if parts > 1:
        overlapped = device + up + down + work - max(device, up, down, work)
        hidden = (1 - 1 / parts) * overlapped
    return Step(device, up, down, demand.visits * own.rtt_seconds, work, hidden)


def steps_of(variant: Variant, policy: Policy, round_samples: int) -> float:
    """Steps of a whole run: smaller batches take more of them for the same samples."""
    return policy.steps_per_client * round_samples / variant.batch


def energy_joules(step: Step[float], client: ResolvedClient) -> float | None:
    """The device's, for one step; None where its power is not known."""
    watts = client.device.watts
    return None if watts is None else watts * step.device_seconds


def broken_limits(
    demand: Demand,
    variant: Variant,
    step: Step[float],
    client: ResolvedClient,
    policy: Policy,
    round_samples: int,
    wait_seconds: float = 0.0,
) -> Iterator[tuple[str, str]]:
    """(label, what was found) of each of the client's own limits that the choice breaks."""
    yield from broken_by_size(demand, variant, client, policy, round_samples)
    yield from broken_by_time(variant, step, client, policy, round_samples, wait_seconds)


def broken_by_size(
    demand: Demand, variant: Variant, client: ResolvedClient, policy: Policy, round_samples: int
) -> Iterator[tuple[str, str]]:
    """C2, C3 and C8, which hold at any server or at none."""
    peak = client.device.runtime_bytes + demand.model_memory_bytes
    usable = client.device.usable_memory_bytes
    if peak > usable:
        yield C2, f"needs {format_bytes(peak)} of memory, {format_bytes(usable)} usable"
    budget = client.link.data_budget_bytes
    if budget is not None:
        steps = steps_of(variant, policy, round_samples)
        moved = (demand.up_bytes + demand.down_bytes) * steps
        if moved > budget:
            yield C3, f"moves {format_bytes(moved)} a run, budget {format_bytes(budget)}"
    placement = variant.placement
    if placement.depth < client.min_depth:
        yield C8, f"depth {placement.depth}, at least {client.min_depth} asked for"
    private = placement.depth + placement.top
    if client.max_depth is not None and private > client.max_depth:
        yield C8, f"{private} private blocks, at most {client.max_depth} asked for"


def limits_time(policy: Policy) -> bool:
    """Whether the policy has any of the limits of `broken_by_time`."""
    return policy.step_deadline_seconds is not None or policy.energy_budget_wh is not None


def broken_by_time(
    variant: Variant,
    step: Step[float],
    client: ResolvedClient,
    policy: Policy,
    round_samples: int,
    wait_seconds: float = 0.0,
) -> Iterator[tuple[str, str]]:
    """C7 and C9."""
    deadline, budget = policy.step_deadline_seconds, policy.energy_budget_wh
    if deadline is not None:
        seconds = step.step_seconds + wait_seconds
        if seconds > deadline:
            yield C7, f"{format_seconds(seconds)} a step, deadline {format_seconds(deadline)}"
    if budget is not None:
        joules, steps = energy_joules(step, client), steps_of(variant, policy, round_samples)
        if joules is None or joules * steps > 3600 * budget:
            spent = "unknown power" if joules is None else f"{joules * steps / 3600:.4g} Wh a run"
            yield C9, f"{spent}, budget {budget:g} Wh"
