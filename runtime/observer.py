"""What a display, or anything else that looks on, is told of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..catalog.progress import Progress
from ..planner.plan import Plan
from .records import StepRecord, TrainSettings
from .state import ClientState
from .statistics import DataStatistics


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is known of a run before its first step, or before it goes on."""

    plan: Plan
    settings: TrainSettings
    statistics: dict[str, DataStatistics]
    """What each client's rows are."""
    clients: Mapping[str, ClientState]
    """Where each client stands."""
    earlier: Sequence[StepRecord] = ()
    """The steps behind it, where the run goes on."""


@dataclass(frozen=True, kw_only=True)
class Observer:
    """What a display wants to know, as it happens."""

    note: Callable[[str], None]
    fetch: Progress
    begun: Callable[[Start], None]
    evaluated: Callable[[str, int, int], None]
    """(when, clients done, clients)."""
    stepped: Callable[[StepRecord, int], None]
    """(record, steps of the whole run)."""
    should_stop: Callable[[], bool]
