"""Why a scenario has no plan, said soon: which limits are in the way, without trying remedies
(`planner/diagnose.py` tries them, and takes its time)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...profiler.profile import Profile
from ..client_groups import group_clients
from ..elastic import least_excess
from ..fleet import ResolvedClient, ResolvedFleet
from ..objective import parse_objective
from ..program import C4, C5_COMPUTE, C6_DOWN, C6_UP
from ..solve import prepare
from ..stuck import Group, Stuck
from ..value import DEFAULT_CURVE

SHOWN = 3
"""Groups of equal clients that are told one by one."""
CLOSE = 1.005
"""Times what there is, below which a factor says nothing."""
ROWS = {
    C4: "memory of",
    C5_COMPUTE: "compute of",
    C6_UP: "link up from",
    C6_DOWN: "link down to",
}


def reasons(
    profiles: Mapping[int, Profile], fleet: ResolvedFleet, stuck: Sequence[ResolvedClient]
) -> tuple[str, ...]:
    """`stuck`: clients without a variant of their own; none: limits that clients share."""
    required = tuple(client for client in fleet.clients if not client.optional)
    fleet = fleet.model_copy(update={"clients": required})
    return tuple(_own(profiles, fleet, stuck) if stuck else _shared(profiles, fleet))


def _own(
    profiles: Mapping[int, Profile], fleet: ResolvedFleet, stuck: Sequence[ResolvedClient]
) -> Iterator[str]:
    doctor = Stuck(profiles, fleet)
    groups = group_clients(fleet.model_copy(update={"clients": tuple(stuck)}))
    for group in groups[:SHOWN]:
        yield doctor.reason(Group.of(group))
    left = sum(group.count for group in groups[SHOWN:])
    if left:
        yield f"and {left:,} more clients cannot take part"


def _shared(profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> Iterator[str]:
    """Rows by the excess of an elastic program, which is about what is missing."""
    program = prepare(profiles, fleet).builder(parse_objective("total"), DEFAULT_CURVE).build(None)
    excess = least_excess(program)
    for row, factor in sorted(excess.rows.items(), key=lambda item: -item[1]):
        label, _, rest = row.partition("[")
        server = fleet.servers[int(rest.rstrip("]"))].name
        much = f"about {factor:.3g} times as much" if factor >= CLOSE else "a little more"
        yield f"{ROWS[label]} {server} ({label}): {much} is needed"
    if excess.deadline > 1:
        yield f"step deadline: with waiting, steps take about {excess.deadline:.3g} times as long"
    if not excess.rows and excess.deadline <= 1:
        yield "the limits that clients share can't be kept together"
