"""What an explanation of a plan says: plain records, for a table or as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from .plan import ObjectiveResult, Plan, Strategy

LimitUnit = Literal["bytes", "seconds", "share", "blocks", "Wh"]


class Limit(Contract):
    """One limit of a client or a machine, and the room that the plan leaves there."""

    label: str
    """As in docs/planner.md: "C2_device_memory"."""
    what: str
    """In plain words: "memory of the device"."""
    used: float
    limit: float
    unit: LimitUnit
    text: str
    """One line with numbers: "memory of the device: 483 MiB of 500 MiB, one block more needs 507
    MiB"."""
    binding: bool
    """Whether it keeps the client, or any client of the machine, from what it would do without."""
    price: str = ""
    """Of a machine's limit that is nearly full: what a tenth more of it would save, by planning
    again; "" where that was not asked for."""


class Move(Contract):
    """Another choice for one client, everyone else's choice kept."""

    title: Literal["one block more", "cheapest alone", "next best"]
    choice: str
    """"depth 4, bf16, batch 16"."""
    depth: PositiveInt
    round_seconds_change: float
    """Of this client's round, waiting included."""
    objective_change: float
    """Of the plan's first objective, everyone's waiting included."""
    broken: tuple[str, ...]
    """Labels of the limits that prevent it; none: it is possible, and only dearer."""
    text: str
    """One line with numbers."""


class ClientExplanation(Contract):
    """Why one client, or equal members of a class, got its choice."""

    name: str
    """The client's; of several equal members the first one's."""
    count: PositiveInt
    choice: str
    server: str
    limits: tuple[Limit, ...]
    moves: tuple[Move, ...]


class MachineExplanation(Contract):
    """What binds one server."""

    name: str
    clients: NonNegativeInt
    limits: tuple[Limit, ...]


class StrategyResult(Contract):
    """What a strategy comes to on the same fleet."""

    strategy: Strategy
    value: float | None
    """Of the plan's first objective; none: this strategy has no plan."""
    slowest_seconds: float | None
    """The slowest client's round."""
    server_utilisation: float | None
    """Of the fullest server's compute."""
    server_memory_bytes: NonNegativeInt | None
    """Of the fullest server."""
    broken: tuple[str, ...]
    """A line for each limit that it breaks, or why it has no plan."""


class PlanExplanation(Contract):
    objective: ObjectiveResult
    """The first."""
    machines: tuple[MachineExplanation, ...]
    clients: tuple[ClientExplanation, ...]
    """In the plan's order; equal ones once."""
    strategies: tuple[StrategyResult, ...]
    """The plan itself, then static and memory-only."""


class Alternative(Contract):
    """A plan whose first objective is almost as good, and which is the best at another metric."""

    best_at: tuple[str, ...]
    """Metrics; several where one plan is the best at all of them."""
    metrics: dict[str, float]
    """Value of every known metric."""
    change: dict[str, float]
    """Of every known metric against the plan, as a share of the plan's value."""
    clients_changed: NonNegativeInt
    """Devices that do something else than in the plan."""
    plan: Plan
