"""The plan: a depth for each client, and what is promised of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from ..catalog.files import Contract, read_contract
from ..errors import PlanError
from ..profiler.placement import HeadOn, Placement
from ..profiler.profile import ProfileSettings
from .fleet import Codec, ServerSide


class Prediction(Contract):
    """What one client's step costs, as planned. Waiting in the server's queue is not included."""

    peak_memory_bytes: NonNegativeInt
    """Peak resident memory of the client's process."""
    up_bytes_per_step: NonNegativeInt
    down_bytes_per_step: NonNegativeInt
    device_seconds: NonNegativeFloat
    wire_seconds: NonNegativeFloat
    server_seconds: NonNegativeFloat
    step_seconds: NonNegativeFloat
    """device + wire + server."""


class ClientPlan(Contract):
    name: str
    device: str
    """The device's name: a catalogue type or a measured machine."""
    link: str
    depth: PositiveInt
    """Blocks [0, depth) train on the device."""
    top: NonNegativeInt = 0
    """Last blocks of the model that train on the device too."""
    head: HeadOn = "device"
    """On the server only where the fleet's policy lets labels leave the device."""
    checkpointing: bool = False
    """The device's blocks run forward again in the backward pass, to save memory."""
    codec: Codec = "bf16"
    """How this client's tensors are written on the wire."""
    batch: PositiveInt | None = None
    """Samples a step; none: the profile's."""
    micro_batches: PositiveInt = 1
    """Parts of a batch that are on their way at the same time."""
    deepest: PositiveInt
    """The deepest split that this device's own limits allow."""
    memory_limit_bytes: PositiveInt
    predicted: Prediction

    @property
    def placement(self) -> Placement:
        return Placement(self.depth, self.top, self.head, self.checkpointing)


class ServerPlan(Contract):
    device: str
    peak_memory_bytes: NonNegativeInt
    memory_limit_bytes: PositiveInt
    utilisation: NonNegativeFloat
    """Share of the server's compute that the clients' steps fill."""
    link_utilisation: NonNegativeFloat
    utilisation_limit: NonNegativeFloat


class Objective(Contract):
    """Sum over clients of step seconds; `bound` is the solver's proven lower bound."""

    total_step_seconds: NonNegativeFloat
    bound: NonNegativeFloat
    gap: NonNegativeFloat
    """(total - bound) / total."""
    status: Literal["optimal", "feasible"]
    """"optimal" only with a gap of at most 1e-4."""
    bottleneck: str
    """The client with the longest step."""


class Plan(Contract):
    schema_version: Literal[1] = 1
    model: str
    config_hash: str
    profile_hash: str
    fleet: str
    fleet_hash: str
    blocks: PositiveInt
    settings: ProfileSettings
    steps_per_client: PositiveInt
    codec: Codec
    server_side: ServerSide
    objective: Objective
    server: ServerPlan
    clients: tuple[ClientPlan, ...]


def read_plan(path: Path) -> Plan:
    """The plan in `path`; raises PlanError where its depths can't be trained."""
    plan = read_contract(Plan, path)
    for client in plan.clients:
        where = f"{path}: client {client.name!r}: depth {client.depth}"
        if client.depth >= plan.blocks:
            raise PlanError(
                f"{where} is impossible: the model has {plan.blocks} blocks and the server keeps "
                "at least one",
                f"choose a depth from 1 to {client.deepest}, or make a new plan with `flexp plan`",
            )
        if client.depth > client.deepest:
            raise PlanError(
                f"{where} does not fit its device; the deepest that does is {client.deepest}",
                "lower the depth, or make a new plan with `flexp plan`",
            )
    return plan
