"""An independent check of a plan: every figure recomputed and every limit tested, without the
solver and without the code that prepared its input. Labels are those of docs/planner.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..catalog.files import content_hash
from ..catalog.units import format_bytes, format_seconds
from ..errors import PlanError
from ..profiler import costs
from ..profiler.placement import Placement
from ..profiler.profile import Profile
from .fleet import ResolvedClient, ResolvedFleet
from .plan import ClientPlan, Plan, Prediction, ServerPlan

FIGURE_TOLERANCE = 1e-9
"""Relative difference allowed between a recomputed figure and the plan's."""
LIMIT_TOLERANCE = 1e-6
"""Relative overrun of a shared limit that is put down to the solver's arithmetic."""
OPTIMAL_GAP = 1e-4

Violation = tuple[str, str]


def check(plan: Plan, profile: Profile, fleet: ResolvedFleet) -> None:
    """Raises PlanError with every violated label and what was found."""
    found = list(violations(plan, profile, fleet))
    if found:
        raise PlanError(
            "the plan does not fit its profile and fleet:\n"
            + "\n".join(f"  {label}: {text}" for label, text in found),
            "make a new plan with `flexp plan`",
        )


def violations(plan: Plan, profile: Profile, fleet: ResolvedFleet) -> Iterator[Violation]:
    """(label, what was found) of everything wrong; wrong inputs or depths end the check, as the
    other figures mean nothing then."""
    found = [*_inputs(plan, profile, fleet), *_assignment(plan, profile, fleet)]
    yield from found
    if found:
        return
    demands = [_demand(profile, fleet, depth) for depth in range(1, profile.blocks)]
    figures = []
    for client, entry in zip(plan.clients, fleet.clients, strict=True):
        figures.append(predict(demands[client.depth - 1], entry, fleet))
        yield from own_limits(figures[-1], client.depth, entry, fleet)
        yield from _client(client, entry, figures[-1], demands, fleet)
    clients_bytes = sum(demands[client.depth - 1].server_bytes for client in plan.clients)
    yield from _server(plan.server, profile, fleet, figures, clients_bytes)
    yield from _objective(plan)


class Demand(NamedTuple):
    """What a depth asks for, whatever the device."""

    model_bytes: int
    device_flops: int
    server_flops: int
    server_bytes: int
    wire: costs.WireBytes


def _demand(profile: Profile, fleet: ResolvedFleet, depth: int) -> Demand:
    placement = Placement(depth)
    return Demand(
        model_bytes=costs.client_peak_bytes(profile, placement, runtime_bytes=0),
        device_flops=costs.client_flops(profile, placement),
        server_flops=costs.server_flops(profile, placement),
        server_bytes=costs.server_client_bytes(profile, placement, fleet.policy.server_side),
        wire=costs.wire_bytes(profile, placement, fleet.policy.allowed_codecs[0]),
    )


def _inputs(plan: Plan, profile: Profile, fleet: ResolvedFleet) -> Iterator[Violation]:
    expected = {
        "model": profile.model,
        "config_hash": profile.config_hash,
        "profile_hash": content_hash(profile),
        "blocks": profile.blocks,
        "settings": profile.settings,
        "fleet": fleet.name,
        "fleet_hash": content_hash(fleet),
        "steps_per_client": fleet.policy.steps_per_client,
        "codec": fleet.policy.allowed_codecs[0],
        "server_side": fleet.policy.server_side,
    }
    for field, value in expected.items():
        if getattr(plan, field) != value:
            yield "C0_inputs", f"{field} is {getattr(plan, field)!r}, expected {value!r}"


def _assignment(plan: Plan, profile: Profile, fleet: ResolvedFleet) -> Iterator[Violation]:
    planned, expected = [c.name for c in plan.clients], [c.name for c in fleet.clients]
    if planned != expected:
        yield "C1_assign", f"clients are {planned}, expected {expected}"
    for client in plan.clients:
        if client.depth >= profile.blocks:
            yield "C1_assign", f"{client.name}: depth {client.depth} of {profile.blocks} blocks"


def predict(demand: Demand, client: ResolvedClient, fleet: ResolvedFleet) -> Prediction:
    """The figures of one client, from the formulas of docs/planner.md."""
    server = fleet.server
    device_seconds = demand.device_flops / client.device.training_flops_per_second
    wire_seconds = (
        8 * demand.wire.up / min(client.link.up_bits_per_second, server.link.down_bits_per_second)
        + 8
        * demand.wire.down
        / min(client.link.down_bits_per_second, server.link.up_bits_per_second)
        + demand.wire.round_trips * client.link.rtt_seconds
    )
    server_seconds = demand.server_flops / server.device.training_flops_per_second
    return Prediction(
        peak_memory_bytes=client.device.runtime_bytes + demand.model_bytes,
        up_bytes_per_step=demand.wire.up,
        down_bytes_per_step=demand.wire.down,
        device_seconds=device_seconds,
        wire_seconds=wire_seconds,
        server_seconds=server_seconds,
        step_seconds=device_seconds + wire_seconds + server_seconds,
    )


def own_limits(
    figures: Prediction, depth: int, client: ResolvedClient, fleet: ResolvedFleet
) -> Iterator[Violation]:
    """The client's own limits: C2, C3, C7 and C8."""
    policy, name = fleet.policy, client.name
    limit = client.device.usable_memory_bytes
    if figures.peak_memory_bytes > limit:
        need = format_bytes(figures.peak_memory_bytes)
        yield "C2_device_memory", f"{name}: {need} at depth {depth}, limit {format_bytes(limit)}"
    budget = client.link.data_budget_bytes
    run = policy.steps_per_client * (figures.up_bytes_per_step + figures.down_bytes_per_step)
    if budget is not None and run > budget:
        yield "C3_wire", f"{name}: {format_bytes(run)} a run, budget {format_bytes(budget)}"
    deadline = policy.step_deadline_seconds
    if deadline is not None and figures.step_seconds > deadline:
        step = format_seconds(figures.step_seconds)
        yield "C7_step_deadline", f"{name}: {step} a step, deadline {format_seconds(deadline)}"
    if depth < client.min_depth:
        yield "C8_min_depth", f"{name}: depth {depth}, at least {client.min_depth} asked for"


def _client(
    client: ClientPlan,
    entry: ResolvedClient,
    figures: Prediction,
    demands: Sequence[Demand],
    fleet: ResolvedFleet,
) -> Iterator[Violation]:
    yield from _compare(client.name, client.predicted.model_dump(), figures.model_dump())
    deepest = next(
        (
            depth
            for depth in range(len(demands), 0, -1)
            if not any(own_limits(predict(demands[depth - 1], entry, fleet), depth, entry, fleet))
        ),
        0,
    )
    expected = {
        "device": entry.device.name,
        "link": entry.link.name,
        "deepest": deepest,
        "top": 0,
        "head": "device",
        "checkpointing": False,
        "codec": fleet.policy.allowed_codecs[0],
        "batch": None,
        "micro_batches": 1,
        "memory_limit_bytes": entry.device.usable_memory_bytes,
    }
    yield from _compare(client.name, client.model_dump(include=set(expected)), expected)


def _server(
    stated: ServerPlan,
    profile: Profile,
    fleet: ResolvedFleet,
    figures: Sequence[Prediction],
    clients_bytes: int,
) -> Iterator[Violation]:
    """The shared limits C4, C5 and C6, and the figures that the plan gives for the server."""
    server, policy = fleet.server, fleet.policy
    backbone_bytes = costs.server_backbone_bytes(profile, policy.server_side)
    memory = server.device.runtime_bytes + backbone_bytes + clients_bytes
    compute = math.fsum(f.server_seconds / f.step_seconds for f in figures)
    from_clients = math.fsum(8 * f.up_bytes_per_step / f.step_seconds for f in figures)
    to_clients = math.fsum(8 * f.down_bytes_per_step / f.step_seconds for f in figures)
    up = to_clients / server.link.up_bits_per_second
    down = from_clients / server.link.down_bits_per_second
    share = policy.server_utilisation
    limit = server.device.usable_memory_bytes
    for label, value, cap in (
        ("C4_server_memory", memory, limit),
        ("C5_server_compute", compute, share),
        ("C6_server_link_up", up, share),
        ("C6_server_link_down", down, share),
    ):
        if value > cap * (1 + LIMIT_TOLERANCE):
            yield label, f"{value:.6g}, limit {cap:.6g}"
    expected = {
        "device": server.device.name,
        "peak_memory_bytes": memory,
        "memory_limit_bytes": limit,
        "utilisation": compute,
        "link_utilisation": max(up, down),
        "utilisation_limit": share,
    }
    yield from _compare("server", stated.model_dump(), expected)


def _objective(plan: Plan) -> Iterator[Violation]:
    """The total, the gap, the status and the bottleneck follow from the rest of the plan."""
    stated = plan.objective
    steps = {client.name: client.predicted.step_seconds for client in plan.clients}
    total = math.fsum(steps.values())
    slowest = max(steps.values())
    gap = (total - stated.bound) / total
    expected = {"total_step_seconds": total, "gap": max(gap, 0.0)}
    yield from _compare("objective", stated.model_dump(include=set(expected)), expected)
    if stated.bound > total * (1 + FIGURE_TOLERANCE):
        yield "figures", f"objective: bound {stated.bound} is above the total {total}"
    if (stated.status == "optimal") != (gap <= OPTIMAL_GAP):
        yield "figures", f"objective: status {stated.status!r} with a gap of {gap:.3g}"
    if steps.get(stated.bottleneck, 0.0) < slowest:
        yield "figures", f"objective: bottleneck {stated.bottleneck!r} is not the slowest client"


def _compare(
    who: str, stated: Mapping[str, object], expected: Mapping[str, object]
) -> Iterator[Violation]:
    for field, value in expected.items():
        found = stated[field]
        if isinstance(value, float) and isinstance(found, float):
            equal = math.isclose(found, value, rel_tol=FIGURE_TOLERANCE, abs_tol=FIGURE_TOLERANCE)
        else:
            equal = found == value
        if not equal:
            yield "figures", f"{who}: {field} is {found!r}, recomputed {value!r}"
