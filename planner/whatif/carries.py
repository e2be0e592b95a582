"""All limits of a fleet and its fronts, as one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import PositiveInt

from ...catalog.files import Contract
from .front import Front, front
from .limits import Carrier, Limit, every_limit


class Limits(Contract):
    schema_version: Literal[1] = 1
    fleet: str
    model: str
    blocks: PositiveInt
    limits: tuple[Limit, ...]
    fronts: tuple[Front, ...]
    """Of time against cost and against the value of depth; none where the fleet has no plan."""


def limits_and_fronts(carrier: Carrier, models: Sequence[str]) -> Limits:
    """Cost is the server's where its hour has a price, else its work."""
    found = every_limit(carrier, models)
    priced = all(server.cost_per_hour is not None for server in carrier.fleet.servers)
    fronts: tuple[Front, ...] = ()
    if not carrier.hurdle(carrier.fleet, carrier.profiles, "the fleet as it is"):
        fronts = tuple(
            front(metric, carrier.profiles, carrier.fleet, carrier.wanted, carrier.on_done)
            for metric in ("cost" if priced else "server", "value")
        )
    return Limits(
        fleet=carrier.fleet.name,
        model=carrier.model,
        blocks=next(iter(carrier.profiles.values())).blocks,
        limits=found,
        fronts=fronts,
    )
