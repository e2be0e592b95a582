"""What a scenario starts from and ends at: a fleet, what it trains, and for how long a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...catalog.device import Device, Link
from ..fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from ..lookup import Lookup

Where = object
"""Begins the message of an error: an option, or a place in a file."""


@dataclass(frozen=True)
class Situation:
    fleet: ResolvedFleet
    model: str | None = None
    """None: the baseline's."""
    batch: int | None = None
    """Samples a step, where they are not those of the baseline; a round stays the same."""
    hours_per_day: float = 24.0
    """In which the fleet trains."""
    notes: tuple[str, ...] = ()
    """What was assumed on the way here."""

    def with_fleet(self, **update: object) -> Situation:
        return replace(self, fleet=self.fleet.model_copy(update=update))

    def with_clients(
        self, wanted: Callable[[ResolvedClient], bool], change: Callable[..., ResolvedClient]
    ) -> Situation:
        clients = tuple(change(c) if wanted(c) else c for c in self.fleet.clients)
        return self.with_fleet(clients=clients)

    def with_servers(
        self, wanted: Callable[[ResolvedServer], bool], change: Callable[..., ResolvedServer]
    ) -> Situation:
        servers = tuple(change(s) if wanted(s) else s for s in self.fleet.servers)
        return self.with_fleet(servers=servers)

    def with_policy(self, policy: Policy) -> Situation:
        return self.with_fleet(policy=policy)


@dataclass(frozen=True)
class Names:
    """Devices and links that a scenario may name: those that the fleet has, then its file's own
    and the catalogue's."""

    devices: Lookup[Device]
    links: Lookup[Link]
    folder: Path
    """Where files are looked for."""

    def device(self, name: str, fleet: ResolvedFleet, where: Where) -> Device:
        """Raises MissingFileError or UnknownNameError."""
        there = [owner.device for owner in fleet.clients] + [one.device for one in fleet.servers]
        found = next((device for device in there if device.name == name), None)
        return found or self.devices(name, self.folder, where)

    def link(self, name: str, fleet: ResolvedFleet, where: Where) -> Link:
        """Raises MissingFileError or UnknownNameError."""
        there = next((c.link for c in fleet.clients if c.link.name == name), None)
        return there or self.links(name, self.folder, where)
