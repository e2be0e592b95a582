"""A plan beside others of its fleet: plain records, for a table or as JSON."""

from __future__ import annotations

from pydantic import NonNegativeInt

from ..catalog.files import Contract
from .plan import Plan, Strategy


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
