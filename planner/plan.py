"""The plan: what each client trains where, and what is promised of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from ..catalog.files import FOR_PEOPLE, Contract, read_contract
from ..errors import PlanError
from ..profiler.costs import Codec, ServerSide
from ..profiler.placement import HeadOn, Placement
from ..profiler.profile import ProfileSettings
from .names import member_name

Strategy = Literal["static", "memory-only", "optimized"]
USUAL = {
    **{"class_size": 1, "first": 1, "count": 1, "top": 0},
    **{"head": "device", "checkpointing": False, "micro_batches": 1},
}
"""Of an entry: what a file for people leaves out."""
STRATEGIES: tuple[Strategy, ...] = ("static", "memory-only", "optimized")


class Prediction(Contract):
    """What one step of one client costs, as planned."""

    peak_memory_bytes: NonNegativeInt
    """Peak resident memory of the client's process."""
    up_bytes_per_step: NonNegativeInt
    down_bytes_per_step: NonNegativeInt
    device_seconds: NonNegativeFloat
    wire_seconds: NonNegativeFloat
    server_seconds: NonNegativeFloat
    hidden_seconds: NonNegativeFloat
    """What micro-batches overlap."""
    wait_seconds: NonNegativeFloat
    """In the server's queue, on average."""
    step_seconds: NonNegativeFloat
    """device + wire + server + wait - hidden: the mean."""
    p50_step_seconds: NonNegativeFloat
    p95_step_seconds: NonNegativeFloat
    energy_joules: NonNegativeFloat | None = None
    """The device's; none where its power is not known."""


class ClientPlan(Contract):
    """One device, or `count` members of a class that do the same."""

    name: str
    """The client's, or the class's; members are NAME-1, NAME-2, ... (`members`)."""
    class_size: PositiveInt = 1
    first: PositiveInt = 1
    """Number of the first member, from 1."""
    count: PositiveInt = 1
    device: str
    """The device's name: a catalogue type or a measured machine."""
    link: str
    server: str
    """The server's name, with the machine's number where there are several."""
    depth: PositiveInt
    """Blocks [0, depth) train on the device."""
    top: NonNegativeInt = 0
    """Last blocks of the model that train on the device too."""
    head: HeadOn = "device"
    """On the server only where the fleet's policy lets labels leave the device."""
    checkpointing: bool = False
    """The device's blocks run forward again in the backward pass, to save memory."""
    codec: Codec
    """How this client's tensors are written on the wire."""
    batch: PositiveInt
    """Samples a step."""
    micro_batches: PositiveInt = 1
    """Parts of a batch that are on their way at the same time."""
    steps: PositiveInt
    """Steps of the run: smaller batches take more."""
    deepest: PositiveInt
    """The deepest split that this device's own limits allow."""
    memory_limit_bytes: PositiveInt
    predicted: Prediction

    @model_serializer(mode="wrap")
    def _without_the_usual(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        data: dict[str, Any] = dump(self)
        if info.context != FOR_PEOPLE:
            return data
        return {key: value for key, value in data.items() if USUAL.get(key) != value}

    @property
    def placement(self) -> Placement:
        return Placement(self.depth, self.top, self.head, self.checkpointing)

    @property
    def members(self) -> Iterator[str]:
        """The names of the devices, of a fleet's `member_names`."""
        for number in range(self.first, self.first + self.count):
            yield member_name(self.name, number, self.class_size)


class AbsentClient(Contract):
    """Optional clients that take no part."""

    name: str
    class_size: PositiveInt = 1
    first: PositiveInt = 1
    count: PositiveInt = 1


class ServerPlan(Contract):
    """One machine."""

    name: str
    device: str
    accelerators: PositiveInt
    clients: NonNegativeInt
    peak_memory_bytes: NonNegativeInt
    memory_limit_bytes: PositiveInt
    utilisation: NonNegativeFloat
    """Share of the accelerators' time that the clients' steps fill."""
    link_utilisation: NonNegativeFloat
    utilisation_limit: NonNegativeFloat


class ObjectiveResult(Contract):
    """One objective, and the solver's proof."""

    name: str
    unit: str
    value: float
    bound: float
    """No plan of this fleet has less, those before it in the list being kept."""
    gap: NonNegativeFloat
    """(value - bound) / value."""
    status: Literal["optimal", "feasible", "not optimised"]
    """optimal: a gap of at most 1e-4. feasible: the best found in the time."""


class Plan(Contract):
    schema_version: Literal[2] = 2
    model: str
    config_hash: str
    profile_hashes: dict[PositiveInt, str]
    """By batch size."""
    fleet: str
    fleet_hash: str
    blocks: PositiveInt
    settings: ProfileSettings
    """Of the round: its batch is the samples of a round."""
    steps_per_client: PositiveInt
    """Rounds of the run."""
    server_side: ServerSide
    strategy: Strategy
    objectives: tuple[ObjectiveResult, ...]
    bottleneck: str
    """The client with the longest round."""
    servers: tuple[ServerPlan, ...]
    clients: tuple[ClientPlan, ...]
    absent: tuple[AbsentClient, ...] = ()

    @property
    def devices(self) -> int:
        """Those that take part."""
        return sum(client.count for client in self.clients)

    def expanded(self) -> Plan:
        """The same plan with an entry for every device, as a run needs it."""
        entries = (
            client.model_copy(update={"name": name, "class_size": 1, "first": 1, "count": 1})
            for client in self.clients
            for name in client.members
        )
        return self.model_copy(update={"clients": tuple(entries)})


def relative_gap(value: float, bound: float) -> float:
    """(value - bound) / |value|, never below 0."""
    return 0.0 if value <= bound else (value - bound) / abs(value) if value else math.inf


def round_seconds(client: ClientPlan, plan: Plan) -> float:
    """Mean seconds in which the client works through the samples of a round."""
    return client.predicted.step_seconds * plan.settings.batch / client.batch


def read_plan(path: Path) -> Plan:
    """The plan in `path`; raises PlanError where its depths can't be trained."""
    plan = read_contract(Plan, path)
    for client in plan.clients:
        where = f"{path}: client {client.name!r}: depth {client.depth}"
        most = plan.blocks - client.top - 1
        if client.depth > most:
            kept = f" and {client.top} at the top" if client.top else ""
            raise PlanError(
                f"{where}{kept} is impossible: the model has {plan.blocks} blocks and the server "
                "keeps at least one",
                f"choose a depth from 1 to {min(client.deepest, max(most, 1))}, or make a new plan "
                "with `flexp plan`",
            )
        if client.depth > client.deepest:
            raise PlanError(
                f"{where} does not fit its device; the deepest that does is {client.deepest}",
                "lower the depth, or make a new plan with `flexp plan`",
            )
    return plan
