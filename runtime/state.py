"""How far a run has come: the readable half of a checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from ..planner.plan import Plan
from .evaluate import Accuracy


class ClientState(Contract):
    steps: PositiveInt
    """That the client is to take."""
    next_step: NonNegativeInt = 0
    applied: int = -1
    """The last step whose gradient the server has applied."""
    stopped: str | None = None
    """Why the client takes no more steps."""
    from_step: NonNegativeInt = 0
    """The client's steps have their present length since this step ..."""
    from_seconds: NonNegativeFloat = 0.0
    """... which began at this time on the fleet's clock."""
    traffic: dict[str, int] = Field(default_factory=dict)
    """What wire.Traffic has counted."""


class Move(Contract):
    """A client that got another depth, or other top blocks, in the middle of the run."""

    client: str
    step: NonNegativeInt
    """The client's first under the new plan."""
    depth_before: PositiveInt
    depth: PositiveInt
    top_before: NonNegativeInt
    top: NonNegativeInt
    adapters: Literal["received", "uploaded", "left"]
    """Of the blocks that moved: received by the device, uploaded to the server, or left behind on
    the device while the server starts from the trunk."""
    accuracy_before: NonNegativeFloat
    """On the client's own test rows, just before the move ..."""
    accuracy: NonNegativeFloat
    """... and just after it."""


class RunState(Contract):
    """What the loop needs to go on, beside the tensors."""

    schema_version: Literal[1] = 1
    plan: Plan
    """As now in force."""
    steps_done: NonNegativeInt = 0
    """Of all clients together: the lines of metrics.jsonl."""
    metrics_bytes: NonNegativeInt = 0
    """The length of metrics.jsonl; what is written after it belongs to steps to be repeated."""
    fleet_seconds: NonNegativeFloat = 0.0
    """When the last step was done on the fleet's clock."""
    wall_seconds: NonNegativeFloat = 0.0
    """Over all sittings."""
    before: dict[str, Accuracy]
    """Accuracy before training."""
    clients: dict[str, ClientState] = Field(min_length=1)
    moves: tuple[Move, ...] = ()
