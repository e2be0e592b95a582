"""Who is where, for planner/checker.py: every member once, at a machine that there is."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from .fleet import ResolvedFleet
from .objective_value import machines
from .plan import AbsentClient, ClientPlan, Plan

MEMBERS = attrgetter("name", "class_size", "first", "count")
"""Of an entry of a plan: who does the same."""


def broken_assignment(plan: Plan, fleet: ResolvedFleet) -> Iterator[tuple[str, str]]:
    """(label, what was found) of C1: every member of every client is somewhere once, or absent
    where it may be."""
    whole = [(client.name, client.count, 1, client.count) for client in fleet.clients]
    if plan.absent or list(map(MEMBERS, plan.clients)) != whole:
        yield from _members(plan, fleet)
    known = machines(fleet)
    for client in plan.clients:
        if client.server not in known:
            yield "C1_assign", f"{client.name}: no machine is named {client.server!r}"
        if not 1 <= client.depth <= plan.blocks - client.top - 1:
            yield "C1_assign", f"{client.name}: depth {client.depth} of {plan.blocks} blocks"


def _members(plan: Plan, fleet: ResolvedFleet) -> Iterator[tuple[str, str]]:
    """Entry by entry, for plans that divide classes, leave clients out or have another order."""
    entries = {client.name: client for client in fleet.clients}
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in entries}
    everyone: tuple[ClientPlan | AbsentClient, ...] = (*plan.clients, *plan.absent)
    for planned in everyone:
        entry = entries.get(planned.name)
        if entry is None or planned.class_size != entry.count:
            yield "C1_assign", f"{planned.name} with {planned.class_size} is not in the fleet"
            continue
        places[planned.name].append((planned.first, planned.first + planned.count))
    for absent in plan.absent:
        if absent.name in entries and not entries[absent.name].optional:
            yield "C1_assign", f"{absent.name} must take part"
    for name, spans in places.items():
        if spans == [(1, entries[name].count + 1)]:
            continue
        edges = [edge for span in sorted(spans) for edge in span]
        if edges[:1] != [1] or edges[-1:] != [entries[name].count + 1]:
            yield "C1_assign", f"{name}: members {sorted(spans)} of {entries[name].count}"
        elif any(end != start for end, start in zip(edges[1:-1:2], edges[2::2], strict=True)):
            yield "C1_assign", f"{name}: members are missing or twice in {sorted(spans)}"
