"""A plan run event by event, to hold its promises against: see planner/simulate.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..profiler.profile import Profile
from .fleet import ResolvedFleet
from .machine_load import workload
from .plan import ClientPlan, Plan
from .simulate import JITTER, STEPS, simulate
from .what_if import WhatIf


@dataclass(frozen=True)
class Rehearsed:
    """Steps of one entry of a plan, in simulated seconds."""

    client: ClientPlan
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float

    @property
    def errors(self) -> tuple[float, float, float]:
        """What the plan says over what was simulated, less 1: mean, median, 95th percentile."""
        told = self.client.predicted
        return (
            told.step_seconds / self.mean_seconds - 1,
            told.p50_step_seconds / self.p50_seconds - 1,
            told.p95_step_seconds / self.p95_seconds - 1,
        )


def rehearse(
    plan: Plan,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    steps: int = STEPS,
    jitter: float = JITTER,
    seed: int = 0,
) -> tuple[Rehearsed, ...]:
    """Every machine with its clients, all at work; `steps` of each client are counted on average.

    In the order of the plan's entries.
    """
    what_if = WhatIf(plan, profiles, fleet)
    found: dict[int, Rehearsed] = {}
    for name, server in what_if.machines.items():
        mine = [i for i, client in enumerate(plan.clients) if client.server == name]
        if not mine:
            continue
        guests = what_if.guests(name, [plan.clients[i] for i in mine])
        seen = simulate(workload(guests), server.accelerators, jitter, steps, seed)
        for place, i in enumerate(mine):
            found[i] = Rehearsed(
                plan.clients[i],
                float(seen.mean_seconds[place]),
                float(seen.p50_seconds[place]),
                float(seen.p95_seconds[place]),
            )
    return tuple(found[i] for i in range(len(plan.clients)))
