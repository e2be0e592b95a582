"""The fleet file: clients with their devices and links, one server, and the rules of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from ..catalog.device import Device, Link
from ..catalog.files import Contract
from ..catalog.units import Seconds
from ..profiler.costs import Codec, ServerSide


class ClientEntry(Contract):
    """One client: who it is, on which device, over which link."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    device: str | Device
    """A catalogue device type, a file written by `flexp probe -o`, or the figures themselves."""
    link: str | Link
    """A catalogue link type, a file written by `flexp probe --link-output`, or the figures."""
    min_depth: PositiveInt | None = None
    """Blocks that must stay on this device (privacy); none: the fleet's policy."""


class ServerEntry(Contract):
    device: str | Device
    link: str | Link
    """The server's own connection, shared by all clients (up: towards the clients)."""


class Policy(Contract):
    """The rules that a plan must keep."""

    steps_per_client: PositiveInt = 100
    """Training steps that each client will run: data budgets and run times refer to it."""
    min_depth: PositiveInt = 1
    """Every client keeps at least this many blocks."""
    codec: Codec = "bf16"
    """How tensors are written on the wire."""
    server_side: ServerSide = "shared"
    """Adapters of the server's blocks: a shared trunk, personal ones, or both (aligned)."""
    step_deadline_seconds: Seconds | None = None
    """Longest step that a client may take, without queueing; none: no limit."""
    server_utilisation: float = Field(default=0.6, gt=0, lt=1)
    """Share of the server's compute and link that planned steps may fill. Requests queue at the
    server, and up to about 0.6 the wait stays small (planner.md)."""


class Fleet(Contract):
    """A fleet as its file says it; `resolve` in planner/resolve.py looks the names up."""

    schema_version: Literal[1]
    name: str = "fleet"
    server: ServerEntry
    clients: tuple[ClientEntry, ...] = Field(min_length=1)
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Fleet:
        seen: set[str] = set()
        for client in self.clients:
            if client.name in seen:
                raise ValueError(f"two clients are named {client.name!r}")
            seen.add(client.name)
        return self


class ResolvedClient(Contract):
    name: str
    device: Device
    link: Link
    min_depth: PositiveInt


class ResolvedServer(Contract):
    device: Device
    link: Link


class ResolvedFleet(Contract):
    """A fleet with every name looked up: what the planner computes with."""

    name: str
    server: ResolvedServer
    clients: tuple[ResolvedClient, ...]
    policy: Policy
    path: Path | None = Field(default=None, exclude=True)
    """The file it came from, for messages."""
