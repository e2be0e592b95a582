"""The value of an objective, recomputed from a finished plan in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from .fleet import ResolvedClient, ResolvedFleet, ResolvedServer
from .names import member_names
from .objective import ABSENT, Objective
from .plan import ClientPlan, Plan, round_seconds
from .value import ValueCurve


def objective_value(
    objective: Objective, plan: Plan, fleet: ResolvedFleet, curve: ValueCurve
) -> float:
    """Σ weight · metric; the metrics are those of planner/objective.py."""
    if objective.slowest:
        return max((round_seconds(client, plan) for client in plan.clients), default=0.0)
    clients = {client.name: client for client in fleet.clients}
    away = math.fsum(clients[entry.name].weight * entry.count for entry in plan.absent)
    left_out = math.fsum(weight * away for weight, metric in objective.terms if metric == ABSENT)
    servers = machines(fleet)
    costs = [(w, PER_CLIENT[metric]) for w, metric in objective.terms if metric != ABSENT]
    return left_out + math.fsum(
        weight * entry.count * cost(entry, clients[entry.name], servers[entry.server], plan, curve)
        for weight, cost in costs
        for entry in plan.clients
    )


def machines(fleet: ResolvedFleet) -> dict[str, ResolvedServer]:
    """Every machine by its name in a plan."""
    return {name: server for server in fleet.servers for name in member_names(server)}


def _rounds(entry: ClientPlan, plan: Plan) -> float:
    return plan.settings.batch / entry.batch


def _total(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    return c.weight * round_seconds(e, p)


def _server(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    return e.predicted.server_seconds * _rounds(e, p)


def _cost(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    return _server(e, c, s, p, v) * (s.cost_per_hour or math.nan) / s.accelerators / 3600


def _energy(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    device = math.nan if e.predicted.energy_joules is None else e.predicted.energy_joules
    server = e.predicted.server_seconds * (s.energy_watts or 0.0) / s.accelerators
    return (device + server) * _rounds(e, p)


def _depth(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    return float(p.blocks - e.depth - e.top)


def _value(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    return c.weight * (v.best - v.value(e.depth / p.blocks))


def _bytes(e: ClientPlan, c: ResolvedClient, s: ResolvedServer, p: Plan, v: ValueCurve) -> float:
    moved = e.predicted.up_bytes_per_step + e.predicted.down_bytes_per_step
    return moved * _rounds(e, p)


PER_CLIENT: Mapping[
    str, Callable[[ClientPlan, ResolvedClient, ResolvedServer, Plan, ValueCurve], float]
] = {
    "total": _total,
    "server": _server,
    "cost": _cost,
    "energy": _energy,
    "depth": _depth,
    "value": _value,
    "bytes": _bytes,
}
