"""Why no plan exists, in plain words, and which changes would be enough.

Every change that is printed has been applied to the fleet, and a plan was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import InfeasibleError
from ..profiler.profile import Profile
from .change import Change
from .client_groups import group_clients
from .elastic import Excess, least_excess
from .fleet import ResolvedClient, ResolvedFleet
from .oracle import Oracle
from .predict import C7
from .shared import diagnose_shared, leave_out
from .solver.clock import Clock
from .stuck import Group, Stuck

SHOWN = 5
"""Groups of equal clients that are explained one by one; the others are counted."""
LARGE = 2000
"""Entries of a fleet for which one change of each group is named, and all are tried together."""
PATIENCE = (1.0, 1.01, 1.03, 1.1, 1.3, 2.0)
"""By which a deadline is lengthened further, as waiting at the server asks for."""

ENDED = "the time ended before it was found what would be enough"

Option = tuple[Change, ...]
"""Changes that are enough together."""


@dataclass(frozen=True)
class Remedy:
    who: str
    """The client, or "" for the fleet."""
    options: tuple[Option, ...]
    """Any one of them is enough."""

    @property
    def text(self) -> str:
        texts = [" and ".join(change.text for change in option) for option in self.options]
        if len(texts) > 1:
            words = "any one of these is enough: " + "; or ".join(texts)
        elif len(self.options[0]) > 1:
            words = f"no single change is enough: {texts[0]}"
        else:
            words = texts[0]
        return f"{self.who}: {words}" if self.who else words


@dataclass(frozen=True)
class Diagnosis:
    reasons: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    """All of them are needed."""
    for_all: Remedy | None = None
    """Changes that are enough for several clients together, in place of `remedies`."""

    @property
    def error(self) -> InfeasibleError:
        lines = [remedy.text for remedy in self.remedies]
        if self.for_all is not None:
            lines = [f"for all of them: {self.for_all.text}", "or one by one:", *lines]
        return InfeasibleError("\n".join(self.reasons), "\n".join(lines))


def diagnose(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    stuck: Sequence[ResolvedClient],
    clock: Clock,
) -> Diagnosis:
    """`stuck`: the clients of which no variant keeps their own limits; none: the shared limits
    can't be kept. Optional clients count as left out, unless all are. When the time of `clock` is
    over, what is known by then."""
    required = tuple(client for client in fleet.clients if not client.optional)
    everyone = (client.model_copy(update={"optional": False}) for client in fleet.clients)
    fleet = fleet.model_copy(update={"clients": required or tuple(everyone)})
    doctor = _Doctor(profiles, Oracle(profiles, clock))
    return doctor.clients(fleet, stuck) if stuck else doctor.shared(fleet)


class _Doctor:
    def __init__(self, profiles: Mapping[int, Profile], oracle: Oracle) -> None:
        self.profiles, self.oracle = profiles, oracle

    def clients(self, fleet: ResolvedFleet, stuck: Sequence[ResolvedClient]) -> Diagnosis:
        doctor = Stuck(self.profiles, fleet)
        groups = [
            Group.of(group)
            for group in group_clients(fleet.model_copy(update={"clients": tuple(stuck)}))
        ]
        reasons = [doctor.reason(group) for group in groups[:SHOWN]]
        unseen = groups[SHOWN:]
        if unseen:
            count = sum(group.count for group in unseen)
            reasons.append(f"and {count} more clients cannot take part")
        hidden = {name for group in unseen for name in group.names}
        kept = tuple(client for client in fleet.clients if client.name not in hidden)
        whole, fleet = fleet, fleet.model_copy(update={"clients": kept})
        try:
            found = self._with_remedies(fleet, doctor, groups[:SHOWN], reasons)
            return replace(found, for_all=self._for_all(whole, doctor, groups[:SHOWN]))
        except TimeoutError:
            return Diagnosis((*reasons, ENDED), ())

    def _with_remedies(
        self, fleet: ResolvedFleet, doctor: Stuck, groups: Sequence[Group], reasons: list[str]
    ) -> Diagnosis:
        remedies = [Remedy(g.who, doctor.remedies(g)) for g in groups]
        if len(fleet.clients) > LARGE:
            remedies = [Remedy(remedy.who, remedy.options[:1]) for remedy in remedies]
        for index, group in enumerate(groups if len(fleet.clients) <= LARGE else ()):
            others = remedies[:index] + remedies[index + 1 :]
            base = fleet
            for other in others:
                base = applied(base, other.options[0])
            tried = [doctor.remedies(group, patience) for patience in PATIENCE]
            enough = [
                option
                for versions in zip(*tried, strict=True)
                if (option := self._first(base, versions)) is not None
            ]
            if enough:
                remedies[index] = Remedy(group.who, tuple(enough))
        for remedy in remedies:
            fleet = applied(fleet, remedy.options[0])
        if not self.oracle.has_plan(fleet) and self.oracle.proves_none(fleet):
            rest = self.shared(fleet)
            reasons.append("with these changes, the fleet's shared limits are in the way:")
            reasons += rest.reasons
            remedies = [Remedy(r.who, r.options[:1]) for r in remedies] + list(rest.remedies)
        return Diagnosis(tuple(reasons), tuple(remedies))

    def _for_all(
        self, fleet: ResolvedFleet, doctor: Stuck, groups: Sequence[Group]
    ) -> Remedy | None:
        """Changes of one client's that help all of them, such as a longer deadline."""
        if len(groups) == 1 or len(fleet.clients) > LARGE:
            return None
        found: dict[str, Option] = {}
        for patience in PATIENCE:
            for option in (o for group in groups for o in doctor.remedies(group, patience)):
                kind = re.sub(r"[0-9.]+", "", " ".join(change.text for change in option))
                if kind not in found and self.oracle.has_plan(applied(fleet, option)):
                    found[kind] = option
        return Remedy("", tuple(found.values())) if found else None

    def _first(self, fleet: ResolvedFleet, versions: Sequence[Option]) -> Option | None:
        """The first version that is enough; equal texts are tried once."""
        distinct = {tuple(change.text for change in version): version for version in versions}
        return next((v for v in distinct.values() if self.oracle.has_plan(applied(fleet, v))), None)

    def shared(self, fleet: ResolvedFleet) -> Diagnosis:
        program = self.oracle.program(fleet)
        assert program is not None
        excess = least_excess(program)
        try:
            return self._shared(fleet, excess)
        except TimeoutError:
            labels = list(dict.fromkeys(name.partition("[")[0] for name in excess.rows))
            labels += [C7] if excess.deadline > 1 else []
            reason = f"the fleet's shared limits can't be kept together ({', '.join(labels)})"
            return Diagnosis((reason, ENDED), ())

    def _shared(self, fleet: ResolvedFleet, excess: Excess) -> Diagnosis:
        oracle = self.oracle
        found = diagnose_shared(fleet, excess, oracle.filled, oracle.has_plan, tuple(self.profiles))
        options = list(found.remedies)
        fewer = self._fewest_left_out(fleet, fleet.members // 2 if options else fleet.members)
        if fewer is not None:
            options.append((fewer,))
        remedies = (Remedy("", tuple(options)),) if options else ()
        return Diagnosis(found.reasons, remedies)

    def _fewest_left_out(self, fleet: ResolvedFleet, most: int) -> Change | None:
        """The least that were found; none where these are more than `most`."""
        weighed = [client.model_copy(update={"weight": 1.0}) for client in fleet.clients]
        fleet = fleet.model_copy(update={"clients": tuple(weighed)})
        away = self.oracle.fewest_absent(fleet)
        if away is None or sum(away.values()) > most:
            return None
        return leave_out(fleet, away)


def applied(fleet: ResolvedFleet, option: Option) -> ResolvedFleet:
    for change in option:
        fleet = change.apply(fleet)
    return fleet
