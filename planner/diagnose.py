"""Why no plan exists, in plain words, and which change would be enough."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog.units import format_bytes, format_seconds
from ..errors import InfeasibleError
from ..profiler.costs import ELEMENT_BYTES, wire_bytes
from ..profiler.placement import Placement
from ..profiler.profile import Profile
from .fleet import ResolvedClient, ResolvedFleet
from .ilp import Group, impossible_alone, least_load, minimise
from .limits import SharedLimit
from .options import C2, C3, C7, C8, DepthCost, Option, broken_limits, option, run_bytes

SHOWN = 5
"""Clients that are explained one by one; the others are counted."""
ROUND_UP = 1.005
"""Makes a figure of three digits at least what is needed."""


def explain_clients(
    profile: Profile,
    fleet: ResolvedFleet,
    costs: Sequence[DepthCost],
    stuck: Sequence[ResolvedClient],
) -> InfeasibleError:
    """The error for clients of which no depth keeps their own limits."""
    reasons, hints = [], []
    for client in stuck[:SHOWN]:
        reasons.append(_reason(profile, fleet, costs, client))
        hints.append(f"{client.name}: {_remedy(profile, fleet, costs, client)}")
    if len(stuck) > SHOWN:
        reasons.append(f"and {len(stuck) - SHOWN} more clients cannot take part")
    return InfeasibleError("\n".join(reasons), "\n".join(hints))


def _reason(
    profile: Profile, fleet: ResolvedFleet, costs: Sequence[DepthCost], client: ResolvedClient
) -> str:
    """What the client needs at its shallowest allowed depth, and what it has."""
    if client.min_depth >= profile.blocks:
        return (
            f"{client.name} must keep {client.min_depth} blocks ({C8}), but {profile.model} has "
            f"{profile.blocks} and the server keeps at least one"
        )
    shallowest = option(costs[client.min_depth - 1], client, fleet.server)
    broken = sorted(broken_limits(shallowest, client, fleet.policy))
    needs = "; ".join(f"{_need(label, shallowest, client, fleet)} ({label})" for label in broken)
    batch = profile.settings.batch
    return f"{client.name}, at depth {shallowest.depth} and batch {batch}, {needs}"


def _need(label: str, choice: Option, client: ResolvedClient, fleet: ResolvedFleet) -> str:
    if label == C2:
        has = format_bytes(client.device.usable_memory_bytes)
        need = format_bytes(choice.peak_memory_bytes * ROUND_UP)
        return f"needs {need} of memory; its {client.device.name} offers {has}"
    if label == C3:
        steps, budget = fleet.policy.steps_per_client, client.link.data_budget_bytes or 0
        moved = format_bytes(run_bytes(choice, fleet.policy) * ROUND_UP)
        allowed = format_bytes(budget)
        return f"moves {moved} in {steps} steps; its link {client.link.name} allows {allowed}"
    step = format_seconds(choice.step_seconds * ROUND_UP)
    deadline = format_seconds(fleet.policy.step_deadline_seconds or 0.0)
    return f"takes {step} a step; the deadline is {deadline}"


def _remedy(
    profile: Profile, fleet: ResolvedFleet, costs: Sequence[DepthCost], client: ResolvedClient
) -> str:
    """Single changes that are each enough, or else the fewest that are enough together."""
    by_broken: dict[frozenset[str], list[Option]] = {}
    for cost in costs:
        choice = option(cost, client, fleet.server)
        by_broken.setdefault(broken_limits(choice, client, fleet.policy), []).append(choice)
    if not by_broken:
        return "a model with one block can't be split"
    single = {next(iter(labels)): found for labels, found in by_broken.items() if len(labels) == 1}
    if single:
        changes = [
            change
            for label in sorted(single)
            for change in _changes(label, single[label], profile, fleet, client)
        ]
        return ("any one of these is enough: " if len(changes) > 1 else "") + "; or ".join(changes)
    fewest = min(by_broken, key=lambda labels: (len(labels), by_broken[labels][0].depth))
    choice = by_broken[fewest][0]
    together = [_changes(label, [choice], profile, fleet, client)[0] for label in sorted(fewest)]
    return f"no single change is enough; for depth {choice.depth}: {' and '.join(together)}"


def _changes(
    label: str,
    found: Sequence[Option],
    profile: Profile,
    fleet: ResolvedFleet,
    client: ResolvedClient,
) -> list[str]:
    """Changes, each enough for one of the options `found`, which break nothing but `label`."""
    policy = fleet.policy
    if label == C2:
        has = client.device.usable_memory_bytes
        need = min(choice.peak_memory_bytes for choice in found)
        return [f"{format_bytes((need - has) * ROUND_UP)} more usable memory"]
    if label == C7:
        fastest = min(choice.step_seconds for choice in found)
        return [f"a step deadline of {format_seconds(fastest * ROUND_UP)}"]
    if label == C8:
        return [f"min_depth {max(c.depth for c in found)} instead of {client.min_depth}"]
    cheapest = min(found, key=lambda choice: run_bytes(choice, policy))
    budget = client.link.data_budget_bytes or 0
    changes = [f"a data budget of {format_bytes(run_bytes(cheapest, policy) * ROUND_UP)}"]
    steps = budget // (cheapest.up_bytes + cheapest.down_bytes)
    if steps > 0:
        changes.append(f"at most {steps} steps per client instead of {policy.steps_per_client}")
    codecs = sorted(ELEMENT_BYTES, key=lambda codec: -ELEMENT_BYTES[codec])
    for codec in codecs[codecs.index(policy.allowed_codecs[0]) + 1 :]:
        wire = wire_bytes(profile, Placement(cheapest.depth), codec)
        if (wire.up + wire.down) * policy.steps_per_client <= budget:
            changes.append(f"codec {codec} instead of {policy.allowed_codecs[0]}")
    return changes


def explain_shared(
    groups: Sequence[Group], limits: Sequence[SharedLimit], time_limit_seconds: float
) -> InfeasibleError:
    """The error for a fleet whose clients each have a depth, but not all of them at once."""
    alone = [limit for limit in limits if impossible_alone(groups, limit)]
    if alone:
        text = "\n".join(_shared_need(groups, limit) for limit in alone)
        return InfeasibleError(text, "\n".join(_shared_remedy(groups, limit) for limit in alone))
    conflict = list(limits)
    for limit in limits:
        rest = [other for other in conflict if other is not limit]
        if _impossible(groups, rest, time_limit_seconds):
            conflict = rest
    needs = "\n".join(f"  {_shared_need(groups, limit)}" for limit in conflict)
    return InfeasibleError(
        "each of these limits can be kept alone, but not together: each asks other clients to "
        f"keep more or fewer blocks\n{needs}",
        "relax one of them: " + ", ".join(limit.label for limit in conflict),
    )


def _impossible(
    groups: Sequence[Group], limits: Sequence[SharedLimit], time_limit_seconds: float
) -> bool:
    try:
        return minimise(groups, limits, time_limit_seconds) is None
    except TimeoutError:
        return False


def _shared_need(groups: Sequence[Group], limit: SharedLimit) -> str:
    clients = sum(len(group.members) for group in groups)
    need = limit.format(ROUND_UP * (limit.used + least_load(groups, limit)))
    return (
        f"{limit.noun} ({limit.label}): {clients} clients need at least {need}, each at the depth "
        f"that asks least of it; the limit is {limit.format(limit.cap)}"
    )


def _shared_remedy(groups: Sequence[Group], limit: SharedLimit) -> str:
    room = limit.cap - limit.used
    if room <= 0:
        return f"{limit.label}: the model alone is too large for the server; {limit.remedy}"
    per_client = least_load(groups, limit) / sum(len(group.members) for group in groups)
    return f"{limit.label}: {limit.remedy} (about {int(room / per_client)} like these fit)"
