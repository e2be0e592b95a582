"""The value of an objective, recomputed from a finished plan without the solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter

import numpy as np

from .columns import columns
from .fleet import ResolvedClient, ResolvedFleet, ResolvedServer
from .names import member_names
from .objective import ABSENT, Objective
from .plan import Plan, round_seconds
from .solver.problem import FloatArray
from .value import ValueCurve


def objective_value(
    objective: Objective, plan: Plan, fleet: ResolvedFleet, curve: ValueCurve
) -> float:
    """Σ weight · metric; the metrics are those of planner/objective.py."""
    if objective.slowest:
        return max((round_seconds(client, plan) for client in plan.clients), default=0.0)
    entries = _Entries(plan, fleet, curve)
    terms = [
        weight * entries.away
        if metric == ABSENT
        else math.fsum((weight * entries.count * PER_CLIENT[metric](entries)).tolist())
        for weight, metric in objective.terms
    ]
    return math.fsum(terms)


def machines(fleet: ResolvedFleet) -> dict[str, ResolvedServer]:
    """Every machine by its name in a plan."""
    return {name: server for server in fleet.servers for name in member_names(server)}


class _Entries:
    """A plan's entries in columns, float64[C]; nan where a figure is not known."""

    def __init__(self, plan: Plan, fleet: ResolvedFleet, curve: ValueCurve) -> None:
        self.plan, self.fleet, self.curve = plan, fleet, curve
        self.count, self.batch, self.depth, self.top = self.of("count", "batch", "depth", "top")
        self.rounds = plan.settings.batch / self.batch

    def of(self, *fields: str) -> list[FloatArray]:
        """Figures of the entries."""
        found = columns(fields, self.plan.clients)
        return [np.array(found[field], dtype=float) for field in fields]

    def of_server(self, field: str) -> FloatArray:
        """A figure of each one's server."""
        known = {name: getattr(server, field) for name, server in machines(self.fleet).items()}
        return np.array([known[entry.server] for entry in self.plan.clients], dtype=float)

    @cached_property
    def clients(self) -> dict[str, ResolvedClient]:
        return {client.name: client for client in self.fleet.clients}

    @property
    def weight(self) -> FloatArray:
        mine = map(self.clients.__getitem__, map(attrgetter("name"), self.plan.clients))
        return np.array([client.weight for client in mine])

    @property
    def away(self) -> float:
        """The weight of all who take no part."""
        absent = self.plan.absent
        return math.fsum(self.clients[entry.name].weight * entry.count for entry in absent)


def _total(e: _Entries) -> FloatArray:
    (step_seconds,) = e.of("predicted.step_seconds")
    return e.weight * (step_seconds * e.plan.settings.batch / e.batch)


def _server(e: _Entries) -> FloatArray:
    (server_seconds,) = e.of("predicted.server_seconds")
    return server_seconds * e.rounds


def _cost(e: _Entries) -> FloatArray:
    return _server(e) * e.of_server("cost_per_hour") / e.of_server("accelerators") / 3600


def _energy(e: _Entries) -> FloatArray:
    joules, server_seconds = e.of("predicted.energy_joules", "predicted.server_seconds")
    watts = np.nan_to_num(e.of_server("energy_watts"), nan=0.0)
    return (joules + server_seconds * watts / e.of_server("accelerators")) * e.rounds


def _depth(e: _Entries) -> FloatArray:
    return e.plan.blocks - e.depth - e.top


def _value(e: _Entries) -> FloatArray:
    return e.weight * (e.curve.best - e.curve.at(e.depth / e.plan.blocks))


def _bytes(e: _Entries) -> FloatArray:
    up, down = e.of("predicted.up_bytes_per_step", "predicted.down_bytes_per_step")
    return (up + down) * e.rounds


PER_CLIENT: Mapping[str, Callable[[_Entries], FloatArray]] = {
    "total": _total,
    "server": _server,
    "cost": _cost,
    "energy": _energy,
    "depth": _depth,
    "value": _value,
    "bytes": _bytes,
}
