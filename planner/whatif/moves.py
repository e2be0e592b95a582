"""What can be bought for a fleet, one unit of each: memory for a class, bandwidth or data for a
link, an accelerator, memory or a machine for a server, and an hour more of training a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ..fleet import ResolvedClient, ResolvedServer
from ..roi.costs import Costs, decimal
from ..roi.lines import rented, server_price
from .amount import Amount
from .fields import CLIENT, DEVICE, LINK, set_figure
from .situation import Situation
from .targets import MOST_HOURS

GIB = 2**30
SERVER_GIB = 16
MBIT = 1e6
GB = 10**9
RATE = 10


@dataclass(frozen=True)
class Move:
    """One unit of a purchase."""

    name: str
    apply: Callable[[Situation], Situation]
    once: Decimal
    yearly: Decimal
    life_years: Decimal
    assumes: tuple[str, ...]
    makes_room: bool = True
    """Whether it can make a plan possible."""
    clients: frozenset[str] = frozenset()
    """Entries whose own figures it changes."""
    server: str = ""
    """Whose machines it is for, or to which it adds one."""
    machines: int = 0
    """Of that server today, each of which gets one unit; 0: it adds a machine."""

    @property
    def a_year(self) -> Decimal:
        """Money a year, what is bought spread evenly over its life."""
        return self.yearly + self.once / self.life_years

    def times(self, situation: Situation, count: int) -> Situation:
        for _ in range(count):
            situation = self.apply(situation)
        return situation


def amounts(found: Sequence[Move], counts: Sequence[int]) -> list[Decimal]:
    """Units that are paid of each move: what is for each machine of a server is bought for those
    that are bought with it too, and is priced for those of today."""
    added = {m.server: n for m, n in zip(found, counts, strict=True) if m.server and not m.machines}
    return [
        count
        * (1 + Decimal(added.get(move.server, 0)) / move.machines if move.machines else Decimal(1))
        for move, count in zip(found, counts, strict=True)
    ]


def moves(situation: Situation, costs: Costs, run_hours: float) -> tuple[Move, ...]:
    """`run_hours`: of one run today, for which a further machine would be rented."""
    return (
        *_memory(situation, costs),
        *_links(situation, costs),
        *_servers(situation, costs, run_hours),
        *_hours(situation, costs),
    )


def label(client: ResolvedClient) -> str:
    """Of its device class: a class goes by its own name, a single device by its type."""
    return client.name if client.count > 1 else client.device.name


def _memory(situation: Situation, costs: Costs) -> Iterator[Move]:
    groups: dict[str, list[ResolvedClient]] = {}
    for client in situation.fleet.clients:
        groups.setdefault(label(client), []).append(client)
    price, life = costs.money("memory_per_gib"), costs.figure("device_life_years")
    for name, clients in groups.items():
        names = frozenset(client.name for client in clients)
        count = sum(client.count for client in clients)
        yield Move(
            name=f"+1 GiB for {name} ({count:,})",
            apply=_for_clients(names, "ram", GIB),
            once=price * count,
            yearly=Decimal(0),
            life_years=life,
            assumes=("memory_per_gib", "device_life_years"),
            clients=names,
        )


def _links(situation: Situation, costs: Costs) -> Iterator[Move]:
    groups: dict[str, list[ResolvedClient]] = {}
    for client in situation.fleet.clients:
        groups.setdefault(client.link.name, []).append(client)
    for name, clients in groups.items():
        names = frozenset(client.name for client in clients)
        count = sum(client.count for client in clients)
        yield Move(
            name=f"+{RATE} Mbit/s on {name} ({count:,})",
            apply=_for_clients(names, "up,down", RATE * MBIT),
            once=Decimal(0),
            yearly=costs.money("link_10_mbit_per_year") * count,
            life_years=Decimal(1),
            assumes=("link_10_mbit_per_year",),
            clients=names,
        )
        metered = [client for client in clients if client.link.data_budget_bytes is not None]
        if metered:
            price, label = costs.link_per_gb(name, metered=True)
            names = frozenset(client.name for client in metered)
            count = sum(client.count for client in metered)
            yield Move(
                name=f"+1 GB a run on {name} ({count:,})",
                apply=_for_clients(names, "budget", GB),
                once=Decimal(0),
                yearly=price * count * costs.figure("runs_per_year"),
                life_years=Decimal(1),
                assumes=(label, "runs_per_year"),
                clients=names,
            )


def _for_clients(names: frozenset[str], figures: str, more: float) -> Callable[..., Situation]:
    fields = [{**DEVICE, **LINK}[name] for name in figures.split(",")]

    def change(client: ResolvedClient) -> ResolvedClient:
        for field in fields:
            client = set_figure(client, field, Amount(1.0, more))
        return client

    return lambda situation: situation.with_clients(lambda client: client.name in names, change)


def _servers(situation: Situation, costs: Costs, run_hours: float) -> Iterator[Move]:
    for server in situation.fleet.servers:
        life = costs.figure("server_life_years")
        own = costs.has("accelerator_price")
        price, name = (
            (costs.money("accelerator_price"), "accelerator_price")
            if own
            else server_price(server, costs)
        )
        yield Move(
            name=f"+1 accelerator for {server.name}",
            apply=_for_server(server.name, lambda s: _more(s, "accelerators", 1)),
            once=price * server.count,
            yearly=Decimal(0),
            life_years=life,
            assumes=(name, "server_life_years"),
            server=server.name,
            machines=server.count,
        )
        yield Move(
            name=f"+{SERVER_GIB} GiB for {server.name}",
            apply=_for_server(
                server.name, lambda s: set_figure(s, DEVICE["ram"], Amount(1.0, SERVER_GIB * GIB))
            ),
            once=costs.money("memory_per_gib") * SERVER_GIB * server.count,
            yearly=Decimal(0),
            life_years=life,
            assumes=("memory_per_gib", "server_life_years"),
            server=server.name,
            machines=server.count,
        )
        yield _machine(situation, server, costs, run_hours)


def _machine(situation: Situation, server: ResolvedServer, costs: Costs, run_hours: float) -> Move:
    apply = _for_server(server.name, lambda s: set_figure(s, CLIENT["count"], Amount(1.0, 1.0)))
    once, yearly, life = Decimal(0), Decimal(0), Decimal(1)
    if rented(situation.fleet, costs):
        own = costs.has("server_per_hour")
        rate = costs.money("server_per_hour") if own else decimal(server.cost_per_hour or 0.0)
        yearly = rate * decimal(run_hours) * costs.figure("runs_per_year")
        assumes = ("server_per_hour" if own else "cost_per_hour", "runs_per_year")
    else:
        once, name = server_price(server, costs)
        life, assumes = costs.figure("server_life_years"), (name, "server_life_years")
    name = f"+1 machine {server.name}"
    return Move(name, apply, once, yearly, life, assumes, server=server.name)


def _for_server(
    name: str, change: Callable[[ResolvedServer], ResolvedServer]
) -> Callable[[Situation], Situation]:
    return lambda situation: situation.with_servers(lambda server: server.name == name, change)


def _more(server: ResolvedServer, field: str, more: int) -> ResolvedServer:
    return server.model_copy(update={field: getattr(server, field) + more})


def _hours(situation: Situation, costs: Costs) -> Iterator[Move]:
    if situation.hours_per_day + 1 <= MOST_HOURS:
        yield Move(
            name="one more hour a day",
            apply=lambda found: replace(found, hours_per_day=found.hours_per_day + 1),
            once=Decimal(0),
            yearly=costs.money("hour_per_day_year"),
            life_years=Decimal(1),
            assumes=("hour_per_day_year",),
            makes_room=False,
        )
