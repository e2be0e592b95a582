"""Why a device does what it does: what binds it, and what its other choices would mean.

Other choices are those of the policy, one device changed and all others as planned. Each is
recomputed and checked in full (`planner/what_if.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from ..errors import FieldError
from ..profiler.profile import Profile
from .checker import variant_of
from .client_groups import group_clients
from .deepest import keeps_limits
from .explanation import AbsentExplanation, Choice, ClientExplanation, Use
from .fleet import ResolvedFleet
from .menu import Variant
from .names import member_name, member_names
from .plan import AbsentClient, ClientPlan, Plan
from .predict import C2, C3, C7, C8, C9
from .program import C4, C5_COMPUTE, C6_DOWN, C6_UP
from .stuck import Group, Stuck
from .value import DEFAULT_CURVE, ValueCurve
from .what_if import Changed, WhatIf, find_entries

WORK = 20_000
"""Entries of the plan times choices that are computed."""
LEAST_TRIED = 8
ENTRIES = 5
"""Of a class, that are explained one by one."""


def explain_client(
    plan: Plan,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    name: str,
    curve: ValueCurve = DEFAULT_CURVE,
) -> tuple[ClientExplanation | AbsentExplanation, ...]:
    """Of one device, or of a class a device of each choice that its members make.

    Raises FieldError where the fleet has no client of this name.
    """
    check_name(fleet, name)
    explainer = _Explainer(WhatIf(plan, profiles, fleet, curve))
    found = [explainer.explain(index, name) for index in find_entries(plan, name)[:ENTRIES]]
    absent = [explainer.absent(away) for away in plan.absent if _is(away, name)]
    return (*found, *absent)


def check_name(fleet: ResolvedFleet, name: str) -> None:
    """Raises FieldError where it is neither a client's, a class's nor a member's."""
    names = [client.name for client in fleet.clients]
    if name in names or any(
        name.startswith(f"{client.name}-") and name in member_names(client)
        for client in fleet.clients
    ):
        return
    close = get_close_matches(name, names, n=3)
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    raise FieldError(
        f"--explain: the fleet has no client {name!r}",
        f"did you mean {' or '.join(close)}?"
        if close
        else f"clients are {', '.join(names[:5])}{more}",
    )


def _is(away: AbsentClient, name: str) -> bool:
    numbers = range(away.first, away.first + away.count)
    return name == away.name or any(
        name == member_name(away.name, number, away.class_size) for number in numbers
    )


class _Explainer:
    def __init__(self, what_if: WhatIf) -> None:
        self.what_if, self.plan = what_if, what_if.plan

    def explain(self, index: int, name: str) -> ClientExplanation:
        client = self.plan.clients[index]
        one = client.model_copy(update={"count": 1})
        numbers = range(client.first, client.first + client.count)
        for number in numbers:
            if member_name(client.name, number, client.class_size) == name:
                one = one.model_copy(update={"first": number})
        here = variant_of(client)
        others = list(self._others(client))
        found = self._computed(index, others)
        deeper = (c for c in found if _private(c.client) > _private(client))
        return ClientExplanation(
            client=one,
            members=client.count,
            uses=tuple(sorted(self.uses(client), key=lambda use: -use.share)),
            more=self._beside(index, here, 1),
            less=self._beside(index, here, -1),
            next_best=self._first_kept(found),
            next_deeper=self._first_kept(deeper),
            tried=len(found),
            allowed=len(others),
        )

    def uses(self, client: ClientPlan) -> Iterator[Use]:
        """The limits that the choice of depth comes up against."""
        what_if, predicted = self.what_if, client.predicted
        entry, policy = what_if.entries[client.name], what_if.fleet.policy
        server = next(s for s in self.plan.servers if s.name == client.server)
        yield Use(
            label=C2,
            what=f"memory of {client.device}",
            unit="bytes",
            used=predicted.peak_memory_bytes,
            limit=client.memory_limit_bytes,
        )
        if entry.link.data_budget_bytes is not None:
            moved = (predicted.up_bytes_per_step + predicted.down_bytes_per_step) * client.steps
            budget = entry.link.data_budget_bytes
            what = f"data budget of {client.link}, for {client.steps:,} steps"
            yield Use(label=C3, what=what, unit="bytes", used=moved, limit=budget)
        if policy.step_deadline_seconds is not None:
            used, limit = predicted.step_seconds, policy.step_deadline_seconds
            yield Use(label=C7, what="step deadline", unit="s", used=used, limit=limit)
        if policy.energy_budget_wh is not None and predicted.energy_joules is not None:
            used, limit = predicted.energy_joules * client.steps / 3600, policy.energy_budget_wh
            yield Use(label=C9, what="energy budget of a run", unit="Wh", used=used, limit=limit)
        if entry.max_depth is not None:
            used, limit = _private(client), entry.max_depth
            yield Use(label=C8, what="max_depth", unit="blocks", used=used, limit=limit)
        if entry.min_depth == client.depth > 1:
            used = limit = client.depth
            yield Use(label=C8, what="min_depth", unit="blocks", used=used, limit=limit)
        yield from server_uses(what_if, [server.name])

    def absent(self, away: AbsentClient) -> AbsentExplanation:
        what_if = self.what_if
        entry = what_if.entries[away.name]
        fleet = what_if.fleet.model_copy(update={"clients": (entry,)})
        own = any(
            keeps_limits(demand, variant, entry, server, what_if.menu, fleet)
            for variant, demand in what_if.demands.items()
            for server in fleet.servers
        )
        reason = "it is optional, and left out so that the others keep the limits that all share"
        enough: tuple[str, ...] = ()
        if not own:
            doctor = Stuck(what_if.profiles, fleet)
            group = Group.of(group_clients(fleet)[0])
            reason = doctor.reason(group)
            enough = tuple(
                " and ".join(change.text for change in option) for option in doctor.remedies(group)
            )
        return AbsentExplanation(name=away.name, members=away.count, reason=reason, enough=enough)

    def _others(self, client: ClientPlan) -> Iterator[tuple[Variant, str]]:
        """Other choices that keep the device's own limits, those that seem the best first; of equal
        machines the one that it is on, or else the one with the fewest clients."""
        what_if, here = self.what_if, (variant_of(client), client.server)
        entry = what_if.entries[client.name]
        found: list[tuple[float, int, Variant, str]] = []
        for machine in self._machines(client):
            server = what_if.machines[machine]
            for variant, demand in what_if.demands.items():
                if (variant, machine) != here and keeps_limits(
                    demand, variant, entry, server, what_if.menu, what_if.fleet
                ):
                    at = client.model_copy(update={"server": machine})
                    found.append((what_if.alone(entry, variant, at), len(found), variant, machine))
        return ((variant, machine) for _, _, variant, machine in sorted(found, key=lambda f: f[:2]))

    def _machines(self, client: ClientPlan) -> list[str]:
        """One of each kind of server."""
        best: dict[int, tuple[bool, int, str]] = {}
        for server in self.plan.servers:
            kind = self.what_if.fleet.servers.index(self.what_if.machines[server.name])
            key = (server.name != client.server, server.clients, server.name)
            best[kind] = min(best.get(kind, key), key)
        return [name for *_, name in best.values()]

    def _computed(self, index: int, others: Sequence[tuple[Variant, str]]) -> list[Changed]:
        """As many as are soon computed, the best first."""
        tries = max(LEAST_TRIED, WORK // len(self.plan.clients))
        found = [self.what_if.at(index, variant, machine) for variant, machine in others[:tries]]
        return sorted(found, key=lambda changed: changed.values[self.what_if.main])

    def _first_kept(self, found: Sequence[Changed] | Iterator[Changed]) -> Choice | None:
        return next((self._choice(c) for c in found if not self.what_if.broken(c)), None)

    def _beside(self, index: int, here: Variant, step: int) -> Choice | None:
        """One block more or less, the rest of the choice as it is."""
        placement = replace(here.placement, depth=here.placement.depth + step)
        variant = replace(here, placement=placement)
        if variant not in self.what_if.demands:
            return None
        server = self.plan.clients[index].server
        return self._choice(self.what_if.at(index, variant, server))

    def _choice(self, changed: Changed) -> Choice:
        stated = self.plan.objectives
        after = dict(zip((o.name for o in stated), changed.values, strict=True))
        broken = [f"{text} ({label})" for label, text in self.what_if.broken(changed)]
        before = next(c for c in self.plan.clients if _covers(c, changed.client))
        own = changed.client.predicted.step_seconds - before.predicted.step_seconds
        return Choice(
            client=changed.client,
            broken=tuple(broken),
            values=after,
            change={o.name: after[o.name] - o.value for o in stated},
            others_seconds=_all_steps(changed.plan) - _all_steps(self.plan) - own,
        )


def server_uses(what_if: WhatIf, names: Sequence[str]) -> Iterator[Use]:
    """C4, C5 and C6 of these machines."""
    share = what_if.fleet.policy.server_utilisation
    for found in what_if.plan.servers:
        if found.name not in names:
            continue
        used, limit = found.peak_memory_bytes, found.memory_limit_bytes
        what = f"memory of {found.name}"
        yield Use(label=C4, what=what, unit="bytes", used=used, limit=limit)
        up, down = what_if.link_use(found.name)
        for label, what, used_share in (
            (C5_COMPUTE, f"compute of {found.name}", found.utilisation),
            (C6_UP, f"link from {found.name} to the clients", down),
            (C6_DOWN, f"link from the clients to {found.name}", up),
        ):
            yield Use(label=label, what=what, unit="share", used=used_share, limit=share)


def _private(client: ClientPlan) -> int:
    return client.depth + client.top


def _covers(entry: ClientPlan, one: ClientPlan) -> bool:
    return entry.name == one.name and entry.first <= one.first < entry.first + entry.count


def _all_steps(plan: Plan) -> float:
    return sum(client.count * client.predicted.step_seconds for client in plan.clients)
