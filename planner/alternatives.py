"""Plans that are almost as good as the best one, each the best at something else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ..errors import FieldError
from ..profiler.profile import Profile
from .explanation import Alternative
from .fleet import ResolvedFleet
from .objective import ABSENT, METRICS, Objective, check_known, parse_objective
from .objective_value import objective_value
from .plan import Plan
from .solve import Wanted, make_plan, prepare
from .value import ValueCurve

NOTICEABLE = 1e-3
"""An alternative must be better at its metric by this share of the plan's value."""


def alternatives(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    wanted: Wanted,
    epsilon: float,
    plan: Plan | None = None,
) -> tuple[Alternative, ...]:
    """For each metric that is known and not among the objectives wanted, the plan that is best at
    it while the first objective is missed by at most `epsilon` of its value. Equal plans are listed
    once, and those that win nothing are left out.

    `plan`: that of `wanted`; made if not given. Raises as `make_plan`.
    """
    plan = plan or make_plan(profiles, fleet, wanted)
    first, *_ = wanted.objective.split(",")
    known = known_metrics(profiles, fleet)
    before = metrics(plan, fleet, wanted.curve, known)
    named = {metric for one in parse_objective(wanted.objective) for _, metric in one.terms}
    found: list[Alternative] = []
    for metric in known:
        if metric in named:
            continue
        other = make_plan(
            profiles, fleet, replace(wanted, objective=f"{first},{metric}", slack=epsilon)
        )
        after = metrics(other, fleet, wanted.curve, known)
        if after[metric] >= before[metric] - NOTICEABLE * abs(before[metric]):
            continue
        same = next((i for i, a in enumerate(found) if a.plan.clients == other.clients), None)
        if same is not None:
            best_at = (*found[same].best_at, metric)
            found[same] = found[same].model_copy(update={"best_at": best_at})
            continue
        found.append(
            Alternative(
                best_at=(metric,),
                metrics=after,
                change={name: _share(after[name], before[name]) for name in known},
                clients_changed=changed_devices(plan, other),
                plan=other,
            )
        )
    return tuple(found)


def known_metrics(profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> tuple[str, ...]:
    """Those whose figures are known for every device and server of the fleet."""
    task, known = prepare(profiles, fleet), []
    for metric in METRICS:
        try:
            check_known((Objective(((1.0, metric),)),), task.clients, task.servers)
        except FieldError:
            continue
        if metric != ABSENT or any(client.optional for client in fleet.clients):
            known.append(metric)
    return tuple(known)


def metrics(
    plan: Plan, fleet: ResolvedFleet, curve: ValueCurve, names: tuple[str, ...]
) -> dict[str, float]:
    """Each metric's value for a plan, by name."""
    return {name: objective_value(Objective(((1.0, name),)), plan, fleet, curve) for name in names}


def _share(after: float, before: float) -> float:
    if after == before:
        return 0.0
    return (after - before) / abs(before) if before else math.copysign(math.inf, after)


def changed_devices(plan: Plan, other: Plan) -> int:
    """Devices with another choice; members of a class are told apart by their choices only."""
    before, after = _choices(plan), _choices(other)
    return sum((before - after).values())


def _choices(plan: Plan) -> Counter[tuple[object, ...]]:
    """Members of each entry of the fleet that do the same; equal servers are one."""
    counts: Counter[tuple[object, ...]] = Counter()
    for client in plan.clients:
        kind = (client.batch, client.micro_batches, client.server.rpartition("-")[0])
        counts[client.name, client.placement, client.codec, *kind] += client.count
    for absent in plan.absent:
        counts[(absent.name,)] += absent.count
    return counts
