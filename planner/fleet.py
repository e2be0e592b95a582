"""The fleet file: clients with their devices and links, servers, and the rules of the run.
docs/fleet.md describes it for the people who write one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..catalog.device import Device, Link
from ..catalog.files import Contract
from ..catalog.units import Seconds, WattHours, Watts
from ..profiler.costs import Codec, ServerSide

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=48)]
"""Every message carries it, with a member's number behind it: at most 64 characters."""
Checkpointing = Literal["never", "allowed", "always"]


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a value stands there twice")
    return values


Distinct = AfterValidator(_distinct)


def _named(entries: object) -> object:
    """Figures under a name need no name of their own: the key is it."""
    if not isinstance(entries, dict):
        return entries
    return {
        key: {"name": str(key), **figures} if isinstance(figures, dict) else figures
        for key, figures in entries.items()
    }


class ClientEntry(Contract):
    """A client, or a class of equal ones: who it is, on which device, over which link."""

    name: Name
    count: PositiveInt = 1
    """Clients of this class, each with this device and link; from 2 on they are called NAME-1 to
    NAME-count, the numbers padded with zeros to the same width."""
    device: str | Device
    """A name under `devices`, a catalogue device type, a file written by `flexp probe -o`, or the
    figures themselves."""
    link: str | Link
    """A name under `links`, a catalogue link type, a file written by `flexp probe --link-output`,
    or the figures."""
    min_depth: PositiveInt | None = None
    """Blocks that must stay on this device (privacy); none: the fleet's policy."""
    max_depth: PositiveInt | None = None
    """Blocks that it may hold at most; none: all but the server's one."""
    optional: bool = False
    """Whether a plan may leave it out."""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Its weight in a weighted total."""

    @model_validator(mode="after")
    def _depths_nest(self) -> ClientEntry:
        if self.min_depth and self.max_depth and self.min_depth > self.max_depth:
            raise ValueError(f"min_depth {self.min_depth} is above max_depth {self.max_depth}")
        return self


class ServerEntry(Contract):
    """A server, or several equal ones."""

    name: Name = "server"
    count: PositiveInt = 1
    """Equal machines, from 2 on called NAME-1 to NAME-count."""
    device: str | Device
    """As a client's."""
    link: str | Link
    """Its own connection, shared by all its clients (up: towards the clients)."""
    accelerators: PositiveInt = 1
    """Workers that train at the same time on it, each with the device's speed."""
    energy_watts: Watts | None = None
    """Power while training, of the whole machine; none: the device's."""
    cost_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Price of an hour, in any one currency; none: unknown."""


class Policy(Contract):
    """The rules that a plan must keep."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["codec", "codecs"]}})

    steps_per_client: PositiveInt = 100
    """Training steps that each client will run: data budgets and run times refer to it."""
    min_depth: PositiveInt = 1
    """Every client keeps at least this many blocks."""
    codec: Codec | None = None
    """How tensors are written on the wire; short for `codecs` with one entry."""
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1), Distinct] | None = None
    """Codecs that the plan may choose from, client by client; neither given: bf16."""
    batches: Annotated[tuple[PositiveInt, ...], Distinct] = ()
    """Batch sizes that the plan may choose from; none: the profile's."""
    micro_batches: Annotated[tuple[PositiveInt, ...], Field(min_length=1), Distinct] = (1,)
    """Parts of a batch that may be on their way at the same time, to choose from."""
    top_blocks: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), Distinct] = (0,)
    """How many of the model's last blocks may train on the device too, to choose from."""
    labels_may_leave: bool = False
    """Whether labels may go to the server, so that the head may train there."""
    checkpointing: Checkpointing = "never"
    """Whether devices may or must run blocks forward a second time to save memory."""
    server_side: ServerSide = "shared"
    """Adapters of the server's blocks: a shared trunk, personal ones, or both (aligned)."""
    step_deadline_seconds: Seconds | None = None
    """Longest step that a client may take, without queueing; none: no limit."""
    energy_budget_wh: WattHours | None = None
    """Energy that each client may use in one run, in watt-hours; none: no limit."""
    server_utilisation: float = Field(default=0.6, gt=0, lt=1)
    """Share of a server's compute and link that planned steps may fill. Requests queue at the
    server, and up to about 0.6 the wait stays small (planner.md)."""

    @field_validator("codecs")
    @classmethod
    def _one_spelling(
        cls, codecs: tuple[Codec, ...] | None, info: ValidationInfo
    ) -> tuple[Codec, ...] | None:
        if codecs is not None and info.data.get("codec") is not None:
            raise ValueError("give either codec or codecs")
        return codecs

    @property
    def allowed_codecs(self) -> tuple[Codec, ...]:
        """As `codecs` or `codec` says, else bf16 alone."""
        return self.codecs or (self.codec or "bf16",)


def _without_name(schema: dict[str, Any]) -> None:
    schema["required"].remove("name")


class OwnDevice(Device):
    """A device under `devices`, whose key is its name."""

    model_config = ConfigDict(json_schema_extra=_without_name)


class OwnLink(Link):
    """A link under `links`, whose key is its name."""

    model_config = ConfigDict(json_schema_extra=_without_name)


class Fragment(Contract):
    """Devices, links and clients: what a fleet file may also include from other files."""

    schema_version: Literal[1] = 1
    include: tuple[str, ...] = ()
    """Files with more devices, links and clients, relative to this one; their clients come
    first."""
    devices: Annotated[dict[Name, OwnDevice], BeforeValidator(_named)] = Field(default_factory=dict)
    """Devices by name, for all files of the fleet; they go before the catalogue's."""
    links: Annotated[dict[Name, OwnLink], BeforeValidator(_named)] = Field(default_factory=dict)
    """Links by name, for all files of the fleet; they go before the catalogue's."""
    clients: tuple[ClientEntry, ...] = ()


class Fleet(Fragment):
    """A fleet as its file says it; `resolve` in planner/resolve.py looks the names up."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["server"]}, {"required": ["servers"]}]}
    )

    schema_version: Literal[1]
    name: str = "fleet"
    server: ServerEntry | None = None
    """The one server; or `servers`."""
    servers: Annotated[tuple[ServerEntry, ...], Field(min_length=1)] | None = None
    """Several servers, to which the plan assigns the clients; or `server`."""
    policy: Policy = Policy()

    @field_validator("servers")
    @classmethod
    def _not_both(
        cls, servers: tuple[ServerEntry, ...] | None, info: ValidationInfo
    ) -> tuple[ServerEntry, ...] | None:
        if servers is not None and info.data.get("server") is not None:
            raise ValueError("give either server or servers")
        return servers

    @model_validator(mode="after")
    def _a_server(self) -> Fleet:
        if not self.server_entries:
            raise ValueError("needs a server, or a list of servers")
        return self

    @property
    def server_entries(self) -> tuple[ServerEntry, ...]:
        """Of `server` or `servers`, whichever is given."""
        return self.servers or ((self.server,) if self.server else ())


class ResolvedClient(Contract):
    """A class of `count` equal clients, mostly of one."""

    name: str
    count: PositiveInt = 1
    device: Device
    link: Link
    min_depth: PositiveInt
    max_depth: PositiveInt | None = None
    optional: bool = False
    weight: float = 1.0


class ResolvedServer(Contract):
    """`count` equal servers, mostly one."""

    name: str = "server"
    count: PositiveInt = 1
    device: Device
    link: Link
    accelerators: PositiveInt = 1
    energy_watts: float | None = None
    """Power of the whole machine while training; none: unknown."""
    cost_per_hour: float | None = None


class ResolvedFleet(Contract):
    """A fleet with every name looked up: what the planner computes with."""

    name: str
    servers: tuple[ResolvedServer, ...] = Field(min_length=1)
    clients: tuple[ResolvedClient, ...] = Field(min_length=1)
    policy: Policy
    path: Path | None = Field(default=None, exclude=True)
    """The file it came from, for messages."""

    @property
    def server(self) -> ResolvedServer:
        """The first server."""
        return self.servers[0]

    @property
    def members(self) -> int:
        """Clients, each member of a class counted."""
        return sum(client.count for client in self.clients)
