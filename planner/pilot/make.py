"""From a fleet and its plan to a pilot: who takes part, how long, and the thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..fleet import ResolvedClient, ResolvedFleet
from ..plan import ClientPlan, Plan
from ..simulate import JITTER
from ..value import ValueCurve
from ..whatif.outcome import HOUR, run_bytes
from .checklist import Check, Member, Pilot
from .cover import Group, covers, smallest_cover

PRECISION, Z95 = 0.05, 1.96
LEAST_DAYS = 5
"""A working week: links and people differ by the day."""
BUDGET_SHARE = 0.8
"""Of a data budget, from which on a link binds."""
TIME_GO, TIME_STOP = 1.15, 1.5
MEMORY_GO = 1.05
BYTES_GO, BYTES_STOP = 1.02, 1.10
LOST_GO, LOST_STOP = 0.10, 0.30
STOP_UTILISATION = 0.95


def binding_links(plan: Plan, fleet: ResolvedFleet) -> tuple[str, ...]:
    """Links on which some client's wire is the longest part of its step, or whose data budget a run
    fills to 80%."""
    clients = {client.name: client for client in fleet.clients}
    found: dict[str, None] = {}
    for entry in plan.clients:
        predicted, link = entry.predicted, clients[entry.name].link
        rest = (predicted.device_seconds, predicted.server_seconds, predicted.wait_seconds)
        budget = link.data_budget_bytes
        full = budget is not None and run_bytes(entry) >= BUDGET_SHARE * budget
        if predicted.wire_seconds >= max(rest) or full:
            found[entry.link] = None
    return tuple(found)


def make_pilot(plan: Plan, fleet: ResolvedFleet, curve: ValueCurve, hours_per_day: float) -> Pilot:
    """Of a plan with clients; each device does in the pilot what the plan says of it."""
    clients = {client.name: client for client in fleet.clients}
    groups: dict[Group, list[ClientPlan]] = {}
    for entry in plan.clients:
        groups.setdefault((entry.device, entry.link), []).append(entry)
    sizes = {group: sum(e.count for e in entries) for group, entries in groups.items()}
    binding = binding_links(plan, fleet)
    chosen = smallest_cover(sizes, set(binding))
    picked = [max(groups[group], key=_slowness) for group in chosen]
    members = tuple(
        _member(entry, sizes[group], _words(group, set(binding)))
        for group, entry in zip(chosen, picked, strict=True)
    )
    steps = math.ceil((Z95 * JITTER / PRECISION) ** 2)
    days = max(LEAST_DAYS, math.ceil(max(member.hours for member in members) / hours_per_day))
    checks = [
        check
        for member, entry in zip(members, picked, strict=True)
        for check in _of_device(member, entry, clients[entry.name])
    ]
    return Pilot(
        fleet=plan.fleet,
        model=plan.model,
        devices=fleet.members,
        binding_links=binding,
        members=members,
        least_steps=steps,
        least_days=days,
        hours_per_day=hours_per_day,
        checks=(*checks, *_of_all(plan, picked, curve)),
        assumptions=(
            f"steps vary by {JITTER:.0%}: {steps} of them give a mean to {PRECISION:.0%}, 19 times "
            "in 20",
            "times are expected without waiting: in a pilot nobody else fills the server",
            f"a working week at least: {LEAST_DAYS} days",
            f"accuracy: {curve.source}",
        ),
    )


def plan_of(pilot: Pilot, plan: Plan) -> Plan:
    """Of the pilot's devices alone, each as in the whole fleet's; the servers' figures stay those
    of the whole fleet."""
    wanted = {member.name for member in pilot.members}
    clients = tuple(one for one in plan.expanded().clients if one.name in wanted)
    slowest = max(clients, key=_slowness)
    return plan.model_copy(update={"clients": clients, "bottleneck": slowest.name, "absent": ()})


def _slowness(entry: ClientPlan) -> float:
    return entry.predicted.step_seconds / entry.batch


def _words(group: Group, binding: set[str]) -> tuple[str, ...]:
    return tuple(f"{kind} {name}" for kind, name in sorted(covers(group, binding)))


def _member(entry: ClientPlan, devices: int, stands_for: tuple[str, ...]) -> Member:
    return Member(
        name=next(iter(entry.members)),
        device=entry.device,
        link=entry.link,
        stands_for=stands_for,
        devices=devices,
        depth=entry.depth,
        codec=entry.codec,
        batch=entry.batch,
        steps=entry.steps,
        hours=entry.steps * _alone(entry) / HOUR,
    )


def _alone(entry: ClientPlan) -> float:
    """Seconds of a step without waiting."""
    return entry.predicted.step_seconds - entry.predicted.wait_seconds


def _of_device(member: Member, entry: ClientPlan, client: ResolvedClient) -> Iterator[Check]:
    predicted, name = entry.predicted, member.name
    yield Check(
        id=f"{name}.memory",
        who=name,
        what="peak memory of the client's process",
        unit="MiB",
        expected=_mib(predicted.peak_memory_bytes),
        go=_mib(min(MEMORY_GO * predicted.peak_memory_bytes, entry.memory_limit_bytes)),
        stop=_mib(entry.memory_limit_bytes),
        because="5% above the plan; more than is usable stops the device",
    )
    seconds = _alone(entry)
    yield Check(
        id=f"{name}.step",
        who=name,
        what="mean step",
        unit="s",
        expected=_three(seconds),
        go=_three(TIME_GO * seconds),
        stop=_three(TIME_STOP * seconds),
        because="15% and 50% above the plan",
    )
    moved = predicted.up_bytes_per_step + predicted.down_bytes_per_step
    budget = client.link.data_budget_bytes
    most = BYTES_STOP * moved if budget is None else max(moved, budget / entry.steps)
    yield Check(
        id=f"{name}.bytes",
        who=name,
        what="bytes up and down a step",
        unit="MB",
        expected=_mb(moved),
        go=_mb(min(BYTES_GO * moved, most)),
        stop=_mb(most),
        because="2% above the plan; "
        + ("10% above it" if budget is None else "what the data budget has for a step"),
    )


def _of_all(plan: Plan, picked: list[ClientPlan], curve: ValueCurve) -> Iterator[Check]:
    yield Check(
        id="all.lost",
        who="all",
        what="share of planned steps that were not taken",
        unit="",
        expected=0.0,
        go=LOST_GO,
        stop=LOST_STOP,
        because="devices that are off, gone or stopped",
    )
    server = max(plan.servers, key=lambda one: one.utilisation)
    yield Check(
        id="all.server",
        who="all",
        what="server seconds measured over planned, times the fullest server's planned use",
        unit="",
        expected=_three(server.utilisation),
        go=_three(max(server.utilisation_limit, server.utilisation)),
        stop=STOP_UTILISATION,
        because="the policy's limit; beyond 95% the queue grows without end",
    )
    shares = [curve.value(entry.depth / plan.blocks) for entry in picked]
    expected = sum(shares) / len(shares)
    yield Check(
        id="all.accuracy",
        who="all",
        what="mean personal accuracy after the run",
        unit="",
        expected=_three(expected),
        go=_three(0.95 * expected),
        stop=_three(0.8 * expected),
        better="more",
        because="95% and 80% of the curve at these depths: put your own first",
    )
    yield Check(
        id="all.gain",
        who="all",
        what="personal accuracy gained by training",
        unit="",
        expected=0.1,
        go=0.05,
        stop=0.0,
        better="more",
        because="assumed: five points make it worth while, none stops it",
    )


def _mib(count: float) -> float:
    return round(count / 2**20, 1)


def _mb(count: float) -> float:
    return round(count / 1e6, 3)


def _three(value: float) -> float:
    return float(f"{value:.3g}")
