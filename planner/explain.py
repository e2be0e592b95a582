"""What binds a fleet: full limits, what stops its devices, and what a little more would gain.

Nothing is guessed from prices: what is said of more of something has been planned again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..errors import FlexpError
from ..profiler.profile import Profile
from .alternatives import changed_devices
from .explain_client import server_uses
from .explanation import FleetExplanation, Gain, Stop
from .fleet import ResolvedFleet
from .plan import Plan
from .scarce import Scarce, Stopped, scarce, stopped_at
from .solve import Wanted, find_plan
from .strategy_results import compare
from .what_if import WhatIf

GAIN_SECONDS = 10.0
"""Longest search for each gain."""


def explain_fleet(
    plan: Plan, profiles: Mapping[int, Profile], fleet: ResolvedFleet, wanted: Wanted
) -> FleetExplanation:
    """Of a plan that was made as `wanted` says."""
    what_if = WhatIf(plan, profiles, fleet, wanted.curve)
    shared = tuple(server_uses(what_if, fullest_machines(plan, fleet)))
    stopped = list(stopped_at(what_if))
    limit = min(GAIN_SECONDS, wanted.time_limit_seconds)
    wanted = replace(wanted, time_limit_seconds=limit, on_progress=None)
    time = shares_of_time(plan)
    worth_more = scarce(fleet, shared, stopped, time) if plan.strategy == "optimized" else ()
    return FleetExplanation(
        objective=plan.objectives[what_if.main],
        shared=shared,
        time=time,
        stops=tuple(_stops(stopped)),
        gains=tuple(
            _gain(one, what_if, wanted)
            for one in worth_more
            if wanted.stop is None or not wanted.stop()
        ),
        strategies=compare(plan, profiles, fleet, wanted.curve),
    )


def fullest_machines(plan: Plan, fleet: ResolvedFleet) -> list[str]:
    """The name of one machine of each kind of server."""
    names, start = [], 0
    for server in fleet.servers:
        mine = plan.servers[start : start + server.count]
        names.append(
            max(
                mine,
                key=lambda one: max(
                    one.utilisation / one.utilisation_limit,
                    one.link_utilisation / one.utilisation_limit,
                    one.peak_memory_bytes / one.memory_limit_bytes,
                ),
            ).name
        )
        start += server.count
    return names


def shares_of_time(plan: Plan) -> dict[str, float]:
    parts = {
        part: sum(c.count * getattr(c.predicted, f"{part}_seconds") for c in plan.clients)
        for part in ("device", "wire", "server", "wait")
    }
    total = sum(parts.values())
    return {part: seconds / total if total else 0.0 for part, seconds in parts.items()}


def _stops(stopped: Sequence[Stopped]) -> Iterator[Stop]:
    """By label, the most frequent first."""
    by_label: dict[str, list[Stopped]] = {}
    for one in stopped:
        by_label.setdefault(one.label, []).append(one)
    counts = {label: sum(o.client.count for o in ones) for label, ones in by_label.items()}
    for label in sorted(by_label, key=lambda label: -counts[label]):
        first = by_label[label][0]
        name = next(first.client.members)
        text = f"{name} at depth {first.client.depth + 1}: {first.text}" if first.text else name
        yield Stop(label=label, clients=counts[label], example=text)


def _gain(scarce: Scarce, what_if: WhatIf, wanted: Wanted) -> Gain:
    changed = scarce.change.apply(what_if.fleet)
    try:
        found = find_plan(what_if.profiles, changed, wanted)
    except FlexpError:
        found = None
    if not isinstance(found, Plan):
        return Gain(
            label=scarce.label, more=scarce.change.text, value=None, change=None, clients_changed=0
        )
    before = what_if.plan.objectives[what_if.main]
    after = next((o.value for o in found.objectives if o.name == before.name), None)
    return Gain(
        label=scarce.label,
        more=scarce.change.text,
        value=after,
        change=None if after is None else after - before.value,
        clients_changed=changed_devices(what_if.plan, found),
    )
