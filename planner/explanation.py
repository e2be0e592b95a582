"""A plan beside others of its fleet, and reasons for it: plain records, for a table or JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from .plan import ClientPlan, ObjectiveResult, Plan, Strategy

Unit = Literal["bytes", "s", "Wh", "share", "blocks"]


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


class Use(Contract):
    """A limit, and how much of it the plan uses."""

    label: str
    """As in docs/planner.md."""
    what: str
    """In words: "memory of server"."""
    unit: Unit
    used: NonNegativeFloat
    limit: NonNegativeFloat

    @property
    def share(self) -> float:
        return self.used / self.limit


class Choice(Contract):
    """One device at another choice, all others as planned, and everything recomputed."""

    client: ClientPlan
    """What the device would do, and what is predicted of it."""
    broken: tuple[str, ...]
    """The limits that this breaks, in words with their labels; none: it keeps all."""
    values: dict[str, float]
    """Of the plan's objectives, by name."""
    change: dict[str, float]
    """Of the plan's objectives against the plan."""
    others_seconds: float
    """By how much the others' steps become longer, all together."""


class ClientExplanation(Contract):
    """Why a device does what it does."""

    client: ClientPlan
    """Of the first device that the plan has there."""
    members: PositiveInt
    """Devices of its class that do the same."""
    uses: tuple[Use, ...]
    """Its own limits and those of its server, the fullest first."""
    more: Choice | None
    """One block more on the device; none: the server keeps at least one."""
    less: Choice | None
    """One block less on the device; none: the device keeps at least one."""
    next_best: Choice | None
    """Of all other choices that keep every limit the best that was found."""
    next_deeper: Choice | None
    """The same of those with more blocks on the device."""
    tried: NonNegativeInt
    """Other choices that were computed, of `allowed`."""
    allowed: NonNegativeInt
    """Other choices that keep the device's own limits."""


class AbsentExplanation(Contract):
    """Why a device takes no part."""

    name: str
    members: PositiveInt
    reason: str
    """Its own limit that no choice keeps, or that it is left out for the others' sake."""
    enough: tuple[str, ...]
    """Changes after which it has a choice that keeps its own limits; any one is enough."""


class Stop(Contract):
    """What keeps devices from one block more."""

    label: str
    """Of the limit of their own that it would break; "" for none."""
    clients: PositiveInt
    example: str
    """One of them, in words."""


class Gain(Contract):
    """What the plan would become if there were more of something: planned again."""

    label: str
    more: str
    """In words: "30 GiB of memory for server"."""
    value: float | None
    """Of the first objective; none: no plan was found in the time."""
    change: float | None
    """Against the plan's."""
    clients_changed: NonNegativeInt


class FleetExplanation(Contract):
    """What binds a fleet, and what else there is."""

    objective: ObjectiveResult
    shared: tuple[Use, ...]
    """Of every kind of server, on its fullest machine."""
    time: dict[str, float]
    """Shares of all clients' steps, as if nothing overlapped: device, wire, server, wait."""
    stops: tuple[Stop, ...]
    gains: tuple[Gain, ...]
    """Of what is nearly full, a tenth more each."""
    strategies: tuple[StrategyResult, ...]
