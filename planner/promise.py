"""The plan's contract from an assignment: every figure that is promised."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..catalog.files import content_hash
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .assign import Run
from .fleet import ResolvedClient, ResolvedFleet, ResolvedServer
from .machine_load import Guest, MachineLoad, machine_load
from .menu import Demand, Menu, Variant
from .names import member_name
from .plan import (
    AbsentClient,
    ClientPlan,
    Plan,
    ServerPlan,
    Strategy,
    round_seconds,
)
from .predict import (
    broken_by_size,
    broken_by_time,
    broken_limits,
    energy_joules,
    predict_step,
    steps_of,
)


class Placed(NamedTuple):
    """Members of one client entry with a variant on a machine."""

    run: Run
    variant: Variant
    guest: Guest


def place(
    runs: Sequence[Run], variants: Sequence[int], menu: Menu, fleet: ResolvedFleet
) -> list[Placed]:
    """Each run with the menu's variant (its index) and the seconds of its step."""
    placed = []
    for run, index in zip(runs, variants, strict=True):
        client, server = fleet.clients[run.client], fleet.servers[run.kind]
        variant, demand = menu.variants[index], menu.demands[index]
        step = predict_step(demand, variant, client, server)
        placed.append(Placed(run, variant, Guest(run.members, client, step, demand)))
    return placed


def write_up(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    menu: Menu,
    placed: Sequence[Placed],
    absent: Sequence[Run],
    strategy: Strategy,
    fleet_hash: str | None = None,
) -> Plan:
    """The plan without its objectives; waits are those of each machine's own queue. `fleet_hash`:
    the fleet's `content_hash`, where it is known."""
    profile = next(iter(profiles.values()))
    clients: list[tuple[tuple[int, int], ClientPlan]] = []
    servers = []
    by_machine: dict[tuple[int, int], list[Placed]] = {}
    for one in placed:
        by_machine.setdefault((one.run.kind, one.run.machine), []).append(one)
    deepest = Deepest(menu, fleet)
    for kind, server in enumerate(fleet.servers):
        backbone = server_backbone_bytes(
            profile, fleet.policy.server_side, heads=fleet.policy.labels_may_leave
        )
        for machine in range(server.count):
            mine = by_machine.get((kind, machine), [])
            load = machine_load(server, [one.guest for one in mine])
            name = member_name(server.name, machine + 1, server.count)
            servers.append(
                server_plan(name, server, load, backbone, fleet.policy.server_utilisation)
            )
            for index, one in enumerate(mine):
                entry = _client(one, name, load, index, menu, fleet, deepest)
                clients.append(((one.run.client, one.run.first), entry))
    plan = Plan(
        model=profile.model,
        config_hash=profile.config_hash,
        profile_hashes={batch: content_hash(found) for batch, found in profiles.items()},
        fleet=fleet.name,
        fleet_hash=fleet_hash or content_hash(fleet),
        blocks=profile.blocks,
        settings=profile.settings,
        steps_per_client=fleet.policy.steps_per_client,
        server_side=fleet.policy.server_side,
        strategy=strategy,
        objectives=(),
        bottleneck="",
        servers=tuple(servers),
        clients=tuple(entry for _, entry in sorted(clients, key=lambda pair: pair[0])),
        absent=tuple(_absent(fleet, run) for run in absent),
    )
    return plan.model_copy(update={"bottleneck": bottleneck(plan)})


def _client(
    placed: Placed,
    server: str,
    load: MachineLoad,
    index: int,
    menu: Menu,
    fleet: ResolvedFleet,
    deepest: Deepest,
) -> ClientPlan:
    run, variant, guest = placed
    client, placement = guest.client, variant.placement
    fields: dict[str, Any] = {
        "name": client.name,
        "class_size": client.count,
        "first": run.first,
        "count": run.members,
        "device": client.device.name,
        "link": client.link.name,
        "server": server,
        "depth": placement.depth,
        "top": placement.top,
        "head": placement.head,
        "checkpointing": placement.checkpointing,
        "codec": variant.codec,
        "batch": variant.batch,
        "micro_batches": variant.micro_batches,
        "steps": round(steps_of(variant, fleet.policy, menu.round_samples)),
        "deepest": deepest.of(client),
        "memory_limit_bytes": client.device.usable_memory_bytes,
        "predicted": prediction(guest, load, index),
    }
    return ClientPlan.model_validate(fields)


def prediction(guest: Guest, load: MachineLoad, index: int) -> dict[str, int | float | None]:
    """The fields of a Prediction for the guest at `index` of a machine."""
    step, (mean, median, late) = guest.step, load.steps[index]
    return {
        "peak_memory_bytes": guest.client.device.runtime_bytes + guest.demand.model_memory_bytes,
        "up_bytes_per_step": guest.demand.up_bytes,
        "down_bytes_per_step": guest.demand.down_bytes,
        "device_seconds": step.device_seconds,
        "wire_seconds": step.wire_seconds,
        "server_seconds": step.server_seconds,
        "hidden_seconds": step.hidden_seconds,
        "wait_seconds": load.wait_seconds(guest, index),
        "step_seconds": mean,
        "p50_step_seconds": median,
        "p95_step_seconds": late,
        "energy_joules": energy_joules(step, guest.client),
    }


def server_plan(
    name: str, server: ResolvedServer, load: MachineLoad, backbone_bytes: int, limit: float
) -> ServerPlan:
    """One machine's figures; `limit` is the policy's `server_utilisation`."""
    use = load.predicted
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


class Deepest:
    """The deepest split that a client's own limits allow, looked up once for equal clients."""

    def __init__(self, menu: Menu, fleet: ResolvedFleet) -> None:
        self.menu, self.fleet = menu, fleet
        self.known: dict[tuple[object, ...], int] = {}
        self.deepest_first = sorted(
            zip(menu.variants, menu.demands, strict=True),
            key=lambda option: option[0].placement.depth,
            reverse=True,
        )
        self.memories = sorted({demand.model_memory_bytes for demand in menu.demands})
        policy = fleet.policy
        self.timed = policy.step_deadline_seconds is not None or policy.energy_budget_wh is not None

    def of(self, client: ResolvedClient) -> int:
        """0 where no variant keeps them."""
        key = self._alike(client)
        if key not in self.known:
            room = client.device.usable_memory_bytes - client.device.runtime_bytes
            fitting = (
                variant.placement.depth
                for variant, demand in self.deepest_first
                if demand.model_memory_bytes <= room and self._keeps_limits(client, variant, demand)
            )
            self.known[key] = next(fitting, 0)
        return self.known[key]

    def _alike(self, client: ResolvedClient) -> tuple[object, ...]:
        """Equal for clients with the same answer: where time doesn't count, devices are alike that
        have room for the same variants."""
        depths = (client.min_depth, client.max_depth)
        if self.timed:
            return (client.device, client.link, *depths)
        room = client.device.usable_memory_bytes - client.device.runtime_bytes
        return (bisect_right(self.memories, room), client.link.data_budget_bytes, *depths)

    def _keeps_limits(self, client: ResolvedClient, variant: Variant, demand: Demand) -> bool:
        """The client's own limits with one of the servers, without waiting there."""
        policy, samples = self.fleet.policy, self.menu.round_samples
        if any(broken_by_size(demand, variant, client, policy, samples)):
            return False
        if not self.timed:
            return True
        steps = (predict_step(demand, variant, client, server) for server in self.fleet.servers)
        return any(
            not any(broken_by_time(variant, step, client, policy, samples)) for step in steps
        )


def keeps_limits(
    demand: Demand,
    variant: Variant,
    client: ResolvedClient,
    server: ResolvedServer,
    menu: Menu,
    fleet: ResolvedFleet,
) -> bool:
    """The client's own limits, without waiting at the server."""
    step = predict_step(demand, variant, client, server)
    return not any(broken_limits(demand, variant, step, client, fleet.policy, menu.round_samples))


def bottleneck(plan: Plan) -> str:
    """The first in the alphabet of the clients with the longest round; "" without clients."""
    rounds = [round_seconds(client, plan) for client in plan.clients]
    longest = max(rounds, default=0.0)
    slowest = (client for client, one in zip(plan.clients, rounds, strict=True) if one == longest)
    return min((next(client.members) for client in slowest), default="")
