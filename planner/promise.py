"""The plan's contract from an assignment: every figure that is promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from ..catalog.files import content_hash
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .assign import Run
from .columns import rows
from .deepest import Deepest
from .fleet import ResolvedFleet
from .guests import Guests
from .machine_load import MachineLoad, machine_load
from .menu import Menu
from .names import member_name
from .plan import AbsentClient, Plan, Prediction, ServerPlan, Strategy, round_seconds
from .predict import steps_of


def write_up(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    menu: Menu,
    runs: Sequence[Run],
    variants: Sequence[int],
    absent: Sequence[Run],
    strategy: Strategy,
    fleet_hash: str | None = None,
) -> Plan:
    """The plan without its objectives. `variants`: which of the menu's each run takes; waits are
    those of each machine's own queue. `fleet_hash`: the fleet's `content_hash`, where it is known.
    """
    profile, policy = next(iter(profiles.values())), fleet.policy
    backbone = server_backbone_bytes(profile, policy.server_side, heads=policy.labels_may_leave)
    machines = list(_machines(runs, variants, fleet, menu))
    loads = [(name, machine_load(guests)) for name, guests, _ in machines]
    deepest = Deepest(menu, fleet)
    entries = (
        rows(_entries(name, load, mine, deepest, fleet))
        for (name, load), (_, _, mine) in zip(loads, machines, strict=True)
    )
    plan = Plan.model_validate(
        {
            "model": profile.model,
            "config_hash": profile.config_hash,
            "profile_hashes": {batch: content_hash(found) for batch, found in profiles.items()},
            "fleet": fleet.name,
            "fleet_hash": fleet_hash or content_hash(fleet),
            "blocks": profile.blocks,
            "settings": profile.settings,
            "steps_per_client": policy.steps_per_client,
            "server_side": policy.server_side,
            "strategy": strategy,
            "objectives": (),
            "bottleneck": "",
            "servers": [
                server_plan(name, load, backbone, policy.server_utilisation) for name, load in loads
            ],
            "clients": chain.from_iterable(entries),
            "absent": [_absent(fleet, run) for run in absent],
        }
    )
    written = chain.from_iterable(mine for _, _, mine in machines)
    in_order = sorted(zip(written, plan.clients, strict=True), key=itemgetter(0))
    clients = tuple(entry for _, entry in in_order)
    return plan.model_copy(update={"clients": clients, "bottleneck": bottleneck(plan)})


def _machines(
    runs: Sequence[Run], variants: Sequence[int], fleet: ResolvedFleet, menu: Menu
) -> Iterator[tuple[str, Guests, list[Run]]]:
    """Every machine's name, guests and runs, in an order that the fleet's file doesn't change."""
    placed: dict[tuple[int, int], list[tuple[Run, int]]] = {}
    for run, variant in sorted(
        zip(runs, variants, strict=True),
        key=lambda one: (fleet.clients[one[0].client].name, one[0].first),
    ):
        placed.setdefault((run.kind, run.machine), []).append((run, variant))
    for kind, server in enumerate(fleet.servers):
        for machine in range(server.count):
            mine = placed.get((kind, machine), [])
            guests = Guests(
                server,
                menu,
                clients=[fleet.clients[run.client] for run, _ in mine],
                variants=[variant for _, variant in mine],
                members=[run.members for run, _ in mine],
            )
            name = member_name(server.name, machine + 1, server.count)
            yield name, guests, [run for run, _ in mine]


def _entries(
    server: str, load: MachineLoad, runs: Sequence[Run], deepest: Deepest, fleet: ResolvedFleet
) -> dict[str, Any]:
    """The fields of a machine's ClientPlans, a column for each."""
    guests, menu = load.guests, load.guests.menu
    variants = [menu.variants[variant] for variant in guests.variants]
    steps = [round(steps_of(one, fleet.policy, menu.round_samples)) for one in menu.variants]
    return {
        "name": guests.fields["name"],
        "class_size": guests.fields["count"],
        "first": [run.first for run in runs],
        "count": guests.members,
        "device": guests.fields["device.name"],
        "link": guests.fields["link.name"],
        "server": [server] * len(guests),
        "depth": [variant.placement.depth for variant in variants],
        "top": [variant.placement.top for variant in variants],
        "head": [variant.placement.head for variant in variants],
        "checkpointing": [variant.placement.checkpointing for variant in variants],
        "codec": [variant.codec for variant in variants],
        "batch": [variant.batch for variant in variants],
        "micro_batches": [variant.micro_batches for variant in variants],
        "steps": [steps[variant] for variant in guests.variants],
        "deepest": deepest.of(guests),
        "memory_limit_bytes": guests.fields["device.usable_memory_bytes"],
        "predicted": rows(predictions(load)),
    }


def predictions(load: MachineLoad) -> dict[str, list[Any]]:
    """The fields of the guests' Predictions, a column for each."""
    guests, step, found = load.guests, load.guests.step, load.predicted
    if found is None:
        return {field: [] for field in Prediction.model_fields}
    peak = guests.own("device.runtime_bytes") + guests.asked("model_memory_bytes")
    watts = guests.fields["device.watts"]
    columns = {
        "peak_memory_bytes": peak.astype(np.int64),
        "up_bytes_per_step": guests.asked("up_bytes").astype(np.int64),
        "down_bytes_per_step": guests.asked("down_bytes").astype(np.int64),
        "device_seconds": step.device_seconds,
        "wire_seconds": step.wire_seconds,
        "server_seconds": step.server_seconds,
        "hidden_seconds": step.hidden_seconds,
        "wait_seconds": load.wait_seconds,
        "step_seconds": found.mean_seconds,
        "p50_step_seconds": found.p50_seconds,
        "p95_step_seconds": found.p95_seconds,
    }
    figures = {field: column.tolist() for field, column in columns.items()}
    seconds = figures["device_seconds"]
    figures["energy_joules"] = [
        None if power is None else power * one for power, one in zip(watts, seconds, strict=True)
    ]
    return figures


def server_plan(name: str, load: MachineLoad, backbone_bytes: int, limit: float) -> ServerPlan:
    """One machine's figures; `limit` is the policy's `server_utilisation`."""
    server, use = load.guests.server, load.predicted
    return ServerPlan(
        name=name,
        device=server.device.name,
        accelerators=server.accelerators,
        clients=load.clients,
        peak_memory_bytes=server.device.runtime_bytes + backbone_bytes + load.client_bytes,
        memory_limit_bytes=server.device.usable_memory_bytes,
        utilisation=use.server_utilisation if use else 0.0,
        link_utilisation=max(use.up_utilisation, use.down_utilisation) if use else 0.0,
        utilisation_limit=limit,
    )


def _absent(fleet: ResolvedFleet, run: Run) -> AbsentClient:
    client = fleet.clients[run.client]
    return AbsentClient(
        name=client.name, class_size=client.count, first=run.first, count=run.members
    )


def bottleneck(plan: Plan) -> str:
    """The first in the alphabet of the clients with the longest round; "" without clients."""
    rounds = [round_seconds(client, plan) for client in plan.clients]
    longest = max(rounds, default=0.0)
    slowest = (client for client, one in zip(plan.clients, rounds, strict=True) if one == longest)
    return min((next(client.members) for client in slowest), default="")
