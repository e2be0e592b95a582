"""Why no plan exists, in plain words, and which change would be enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InfeasibleError
from .fleet import ResolvedClient, ResolvedFleet
from .menu import Menu
from .predict import broken_limits, predict_step
from .solver.solve import Infeasible

if TYPE_CHECKING:
    from .solve import Task


def explain_clients(
    menu: Menu, fleet: ResolvedFleet, stuck: Sequence[ResolvedClient]
) -> InfeasibleError:
    """The error for clients of which no variant keeps their own limits."""
    lines = []
    for client in stuck:
        variant, demand = menu.variants[-1], menu.demands[-1]
        step = predict_step(demand, variant, client, fleet.server)
        found = broken_limits(demand, variant, step, client, fleet.policy, menu.round_samples)
        lines.append(f"{client.name}: " + "; ".join(f"{text} ({label})" for label, text in found))
    return InfeasibleError("\n".join(lines))


def explain_shared(task: Task, found: Infeasible) -> InfeasibleError:
    """The error for a fleet whose clients each have a variant, but not all of them at once."""
    return InfeasibleError("the fleet's shared limits can't be kept together")
