"""Clients that a plan can't tell apart."""

from __future__ import annotations

from pydantic import PositiveInt

from ..catalog.device import Device, Link
from ..catalog.files import Contract
from .fleet import ResolvedClient, ResolvedFleet


class ClientGroup(Contract):
    """Clients that are equal in all that a plan looks at."""

    names: tuple[str, ...]
    """Of the fleet file's entries, whose counts add up to `count`."""
    count: PositiveInt
    device: Device
    link: Link
    min_depth: PositiveInt
    max_depth: PositiveInt | None
    optional: bool
    weight: float


def group_clients(fleet: ResolvedFleet) -> tuple[ClientGroup, ...]:
    """In the order of each group's first client."""
    members: dict[tuple[object, ...], list[ResolvedClient]] = {}
    for client in fleet.clients:
        key = (
            client.device,
            client.link,
            client.min_depth,
            client.max_depth,
            client.optional,
            client.weight,
        )
        members.setdefault(key, []).append(client)
    return tuple(
        ClientGroup(
            names=tuple(client.name for client in clients),
            count=sum(client.count for client in clients),
            **clients[0].model_dump(include={"min_depth", "max_depth", "optional", "weight"}),
            device=clients[0].device,
            link=clients[0].link,
        )
        for clients in members.values()
    )
