"""What a situation comes to: the figures that someone who pays asks for, from its plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ...catalog.files import Contract
from ..fleet import ResolvedFleet
from ..objective_value import machines
from ..plan import ClientPlan, Plan, round_seconds

HOUR = 3600.0
CENTS = Decimal("0.01")


class ClassOutcome(Contract):
    """Devices of one class; single ones go by their device type."""

    name: str
    devices: NonNegativeInt
    """That take part."""
    absent: NonNegativeInt = 0
    mean_depth: NonNegativeFloat = 0.0
    """Blocks on the device, those at the top of the model included."""
    least_depth: NonNegativeInt = 0
    greatest_depth: NonNegativeInt = 0
    slowest_round_seconds: NonNegativeFloat = 0.0
    peak_memory_bytes: NonNegativeInt = 0
    memory_limit_bytes: NonNegativeInt = 0
    """Of the device with the least room left."""


class Figures(Contract):
    """Of the whole fleet. A run is `steps_per_client` rounds of each client."""

    devices: NonNegativeInt
    absent: NonNegativeInt
    mean_depth: NonNegativeFloat
    mean_round_seconds: NonNegativeFloat
    slowest_round_seconds: NonNegativeFloat
    finish_hours: NonNegativeFloat
    """Hours of training until the slowest client has done its run."""
    finish_days: NonNegativeFloat
    """The same in days of `hours_per_day`."""
    bytes_per_day: NonNegativeFloat
    """Up and down, all clients, on a day on which everyone trains."""
    run_bytes: NonNegativeFloat
    energy_wh: NonNegativeFloat
    """Of a run: devices and servers while they compute; those of unknown power count as 0."""
    unknown_power: NonNegativeInt
    """Devices and servers without watts."""
    server_hours: NonNegativeFloat
    """Machines times hours of training."""
    server_cost: Decimal | None = None
    """Server hours at the fleet's cost_per_hour; none: it is not known for every server."""


class Outcome(Contract):
    """One scenario."""

    name: str
    changes: tuple[str, ...] = ()
    """In words, as they were given."""
    notes: tuple[str, ...] = ()
    """What was assumed on the way."""
    model: str
    batches: tuple[PositiveInt, ...]
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    """infeasible: it is proven that no plan exists. unknown: no plan in the time, and no proof."""
    gap: float | None = None
    """Of the plan's objective to its proven bound, as a share."""
    why: tuple[str, ...] = ()
    """What is in the way, or what is the slowest."""
    figures: Figures | None = None
    classes: tuple[ClassOutcome, ...] = ()
    difference: dict[str, float | None] = Field(default_factory=dict)
    """Of each figure, scenario less baseline; none where one of them has no such figure."""

    @property
    def planned(self) -> bool:
        return self.figures is not None


class WhatIf(Contract):
    """A baseline and scenarios, planned alike."""

    schema_version: Literal[1] = 1
    fleet: str
    objective: str
    blocks: PositiveInt
    assumptions: tuple[str, ...]
    baseline: Outcome
    scenarios: tuple[Outcome, ...]


def figures_of(plan: Plan, fleet: ResolvedFleet, hours_per_day: float) -> Figures:
    """Units and meaning are those of `Figures`."""
    servers = machines(fleet)
    rounds = [round_seconds(entry, plan) for entry in plan.clients]
    hours = max((run_hours(entry) for entry in plan.clients), default=0.0)
    joules = 0.0
    for entry in plan.clients:
        server, predicted = servers[entry.server], entry.predicted
        watts = (server.energy_watts or 0.0) / server.accelerators
        a_step = (predicted.energy_joules or 0.0) + predicted.server_seconds * watts
        joules += entry.count * entry.steps * a_step
    unknown = sum(e.count for e in plan.clients if e.predicted.energy_joules is None)
    priced = [s.cost_per_hour for s in servers.values()]
    return Figures(
        devices=plan.devices,
        absent=sum(away.count for away in plan.absent),
        mean_depth=_mean(plan.clients, [e.depth + e.top for e in plan.clients]),
        mean_round_seconds=_mean(plan.clients, rounds),
        slowest_round_seconds=max(rounds, default=0.0),
        finish_hours=hours,
        finish_days=hours / hours_per_day,
        bytes_per_day=math.fsum(
            e.count * min(hours_per_day / run_hours(e), 1.0) * run_bytes(e) for e in plan.clients
        ),
        run_bytes=math.fsum(entry.count * run_bytes(entry) for entry in plan.clients),
        energy_wh=joules / HOUR,
        unknown_power=unknown + sum(s.energy_watts is None for s in servers.values()),
        server_hours=len(servers) * hours,
        server_cost=None
        if None in priced
        else money(sum(Decimal(str(price)) for price in priced) * Decimal(hours)),
    )


def money(amount: Decimal) -> Decimal:
    """To a hundredth."""
    return amount.quantize(CENTS)


def run_hours(entry: ClientPlan) -> float:
    """Of training, until one device of the entry is done."""
    return entry.steps * entry.predicted.step_seconds / HOUR


def run_bytes(entry: ClientPlan) -> float:
    """Up and down, of one device."""
    predicted = entry.predicted
    return float(entry.steps * (predicted.up_bytes_per_step + predicted.down_bytes_per_step))


def _mean(entries: Sequence[ClientPlan], values: Sequence[float]) -> float:
    devices = sum(entry.count for entry in entries)
    total = math.fsum(e.count * value for e, value in zip(entries, values, strict=True))
    return total / devices if devices else 0.0


def classes_of(plan: Plan) -> tuple[ClassOutcome, ...]:
    """In the order of the plan; those that are absent as a whole come last."""
    groups: dict[str, list[ClientPlan]] = {}
    for entry in plan.clients:
        groups.setdefault(entry.name if entry.class_size > 1 else entry.device, []).append(entry)
    away: dict[str, int] = {}
    for absent in plan.absent:
        away[absent.name] = away.get(absent.name, 0) + absent.count
    found = [_class(name, plan, entries, away.pop(name, 0)) for name, entries in groups.items()]
    left = [ClassOutcome(name=name, devices=0, absent=count) for name, count in away.items()]
    return (*found, *left)


def _class(name: str, plan: Plan, entries: Sequence[ClientPlan], absent: int) -> ClassOutcome:
    depths = [entry.depth + entry.top for entry in entries]
    tight = max(entries, key=lambda e: e.predicted.peak_memory_bytes / e.memory_limit_bytes)
    return ClassOutcome(
        name=name,
        devices=sum(entry.count for entry in entries),
        absent=absent,
        mean_depth=_mean(entries, depths),
        least_depth=min(depths),
        greatest_depth=max(depths),
        slowest_round_seconds=max(round_seconds(entry, plan) for entry in entries),
        peak_memory_bytes=tight.predicted.peak_memory_bytes,
        memory_limit_bytes=tight.memory_limit_bytes,
    )


def difference(baseline: Figures | None, scenario: Figures | None) -> dict[str, float | None]:
    """Scenario less baseline, by the name of the figure."""
    found: dict[str, float | None] = {}
    for name in Figures.model_fields:
        before, after = getattr(baseline, name, None), getattr(scenario, name, None)
        known = before is not None and after is not None
        found[name] = float(after) - float(before) if known else None  # type: ignore[arg-type]
    return found
