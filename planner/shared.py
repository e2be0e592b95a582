"""Why a fleet has no plan though each of its clients has a choice: the limits that clients share.

Each limit is relaxed alone, as far as one could want: those with which a plan exists are each
enough, and the least change that is enough is sought by solving again. Where no limit alone is
enough, the fewest that are enough together. Leaving out the fewest clients is the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ..catalog.units import format_bit_rate, format_bytes, format_seconds
from .change import (
    Change,
    batch_change,
    bit_rate_up,
    bytes_up,
    codec_change,
    format_speed,
    policy_change,
    seconds_up,
    server_change,
    speed_up,
    with_link,
    with_memory,
    with_speed,
)
from .elastic import Excess
from .fleet import ResolvedFleet, ResolvedServer
from .predict import C7
from .program import C4, C5_COMPUTE, C6_DOWN, C6_UP

MOST = 1e5
"""By which a limit is relaxed to see whether it matters."""
PRECISION = 0.003
ROUNDING = 1e-9
MOST_UTILISATION = 0.95
MARGINS = (1.0, 1.005, 1.02, 1.05, 1.1, 1.3)
"""Added to a change until a plan with it exists: equal servers are planned as one large one."""

Oracle = Callable[[ResolvedFleet], bool]
Filled = Callable[[ResolvedFleet], Mapping[str, float] | None]
"""Share of each limit that some choice fills, by its row; None where there seems to be none."""


@dataclass(frozen=True)
class Limit:
    """A shared limit and how it can be raised."""

    label: str
    row: str
    """Name of the program's row; "" for the deadline."""
    reason: Callable[[float], str]
    """In words, where `factor` times as much would be enough."""
    change: Callable[[float], Change]
    """To at least `factor` times as much."""


def limits(fleet: ResolvedFleet) -> tuple[Limit, ...]:
    found = [one for k, server in enumerate(fleet.servers) for one in _of_server(fleet, server, k)]
    deadline = fleet.policy.step_deadline_seconds
    if deadline is not None:
        before = format_seconds(deadline)

        def text(factor: float) -> str:
            return (
                f"step deadline ({C7}): each client alone keeps {before}, but waiting at the "
                f"server and on its link makes it at least {seconds_up(factor * deadline)[0]}"
            )

        def change(factor: float) -> Change:
            longer, seconds = seconds_up(factor * deadline)
            return policy_change(
                f"a step deadline of {longer} instead of {before}", step_deadline_seconds=seconds
            )

        found.append(Limit(C7, "", text, change))
    return tuple(found)


def _of_server(fleet: ResolvedFleet, server: ResolvedServer, kind: int) -> Sequence[Limit]:
    name, members = server.name, fleet.members
    whose = "the server" if len(fleet.servers) == 1 and server.count == 1 else name
    each = " each" if server.count > 1 else ""
    accelerator = "each accelerator of " if server.accelerators > 1 else ""
    usable, speed = server.device.usable_memory_bytes, server.device.training_flops_per_second

    def limit(
        label: str,
        what: str,
        now: float,
        written: Callable[[float], str],
        up: Callable[[float], tuple[str, float]],
        change: Callable[[ResolvedServer, float], ResolvedServer],
        short: str,
    ) -> Limit:
        def at(factor: float) -> Change:
            text, value = up(factor * now)
            return server_change(
                f"{text} {short}{each} instead of {written(now)}",
                name,
                lambda s: change(s, value),
            )

        def reason(factor: float) -> str:
            return (
                f"{what} ({label}): {members:,} clients need at least {up(factor * now)[0]}{each}; "
                f"{'it has' if not each else 'each has'} {written(now)}"
            )

        return Limit(label, f"{label}[{kind}]", reason, at)

    return (
        limit(
            *(C4, f"memory of {whose}", usable, format_bytes, bytes_up),
            lambda s, value: with_memory(s, int(value)),
            f"of memory on {whose}",
        ),
        limit(
            *(C5_COMPUTE, f"compute of {whose}", speed, format_speed, speed_up),
            with_speed,
            f"for {accelerator}{whose}",
        ),
        limit(
            *(C6_UP, f"link from {whose} to the clients", server.link.up_bits_per_second),
            *(format_bit_rate, bit_rate_up),
            lambda s, value: with_link(s, up_bits_per_second=value),
            f"from {whose} to the clients",
        ),
        limit(
            *(C6_DOWN, f"link from the clients to {whose}", server.link.down_bits_per_second),
            *(format_bit_rate, bit_rate_up),
            lambda s, value: with_link(s, down_bits_per_second=value),
            f"from the clients to {whose}",
        ),
    )


@dataclass(frozen=True)
class Shared:
    reasons: tuple[str, ...]
    remedies: tuple[tuple[Change, ...], ...]
    """Any one of them is enough; each is all of its changes together."""


def diagnose_shared(
    fleet: ResolvedFleet,
    excess: Excess,
    filled: Filled,
    sure: Oracle,
    batches: Sequence[int],
) -> Shared:
    """A wrong no of `filled` makes the answer larger, not wrong. `sure` makes a plan: every remedy
    has passed it. `batches` are those with a profile, the round's first."""

    def possible(fleet: ResolvedFleet) -> bool:
        return filled(fleet) is not None

    every = sorted(limits(fleet), key=lambda one: one.row not in excess.rows)
    enough = [one for one in every if possible(one.change(MOST).apply(fleet))]
    if enough:
        factors = [_least_of(one, fleet, excess, filled) for one in enough]
        lines = [one.reason(factor) for one, factor in zip(enough, factors, strict=True)]
        clash = "these limits can't be kept together; any one of them with more room is enough"
        single = [
            _confirmed(fleet, [one], [factor], sure)
            for one, factor in zip(enough, factors, strict=True)
        ]
        eased = [(c,) for c in _policies(fleet, enough, filled, batches) if sure(c.apply(fleet))]
        return Shared(
            tuple([clash, *lines] if len(lines) > 1 else lines),
            tuple(remedy for remedy in (*single, *eased) if remedy),
        )
    together = list(every)
    if not possible(_all(together, fleet)):
        return Shared(("the fleet's shared limits can't be kept together",), ())
    for one in reversed(every):
        rest = [other for other in together if other is not one]
        if possible(_all(rest, fleet)):
            together = rest
    changed, factors = fleet, []
    for index, one in enumerate(together):
        others = _relaxed(together[index + 1 :], filled)
        factors.append(_least_of(one, changed, excess, others))
        changed = one.change(factors[-1]).apply(changed)
    lines = [one.reason(factor) for one, factor in zip(together, factors, strict=True)]
    head = "no single limit with more room is enough, these are needed together"
    remedy = _confirmed(fleet, together, factors, sure)
    return Shared((head, *lines), (remedy,) if remedy else ())


def _relaxed(some: Sequence[Limit], filled: Filled) -> Filled:
    """Of a fleet with some limits relaxed."""
    return lambda fleet: filled(_all(some, fleet))


def _all(relaxed: Sequence[Limit], fleet: ResolvedFleet) -> ResolvedFleet:
    for one in relaxed:
        fleet = one.change(MOST).apply(fleet)
    return fleet


def _least_of(one: Limit, fleet: ResolvedFleet, excess: Excess, filled: Filled) -> float:
    """The least factor for a limit that is enough; `excess` says where to begin."""
    guess = max(excess.rows.get(one.row, 1.0) if one.row else excess.deadline, 1.0)
    return _least(one.change, fleet, guess * (1 + PRECISION), MOST, (one.row,), filled) or MOST


def _least(
    change: Callable[[float], Change],
    fleet: ResolvedFleet,
    guess: float,
    most: float,
    rows: Collection[str],
    filled: Filled,
) -> float | None:
    """The least factor up to `most` that is enough, to PRECISION; None where none is. What a choice
    leaves of the `rows` that are changed says how much less may be enough."""
    known: dict[str, float | None] = {}

    def share(factor: float) -> float | None:
        made = change(factor)
        if made.text not in known:
            found = filled(made.apply(fleet))
            known[made.text] = None if found is None else max(found[row] for row in rows)
        return known[made.text]

    low, high, step = 1.0, min(guess, most), PRECISION
    while (taken := share(high)) is None:
        if high >= most:
            return None
        low, high = high, min(1 + 2 * (high - 1) + 0.05, most)
    while high > low * (1 + PRECISION) * (1 + ROUNDING):
        middle = max(math.sqrt(low * high), min(high * taken, high / (1 + step)))
        found, step = share(middle), 2 * step
        if found is None:
            low = middle
        else:
            high, taken = middle, found
    return high


def _confirmed(
    fleet: ResolvedFleet, together: Sequence[Limit], factors: Sequence[float], sure: Oracle
) -> tuple[Change, ...]:
    """The limits raised by these factors or a little more; () where no plan was found."""
    for margin in MARGINS:
        changes = [
            one.change(factor * margin) for one, factor in zip(together, factors, strict=True)
        ]
        changed = fleet
        for change in changes:
            changed = change.apply(changed)
        if sure(changed):
            return tuple(changes)
    return ()


def _policies(
    fleet: ResolvedFleet, enough: Sequence[Limit], filled: Filled, batches: Sequence[int]
) -> list[Change]:
    """Rules that may be eased instead: a fuller server, a codec with fewer bytes, a smaller
    batch."""
    labels, policy, found = {one.label for one in enough}, fleet.policy, []

    def fits(change: Change) -> bool:
        return filled(change.apply(fleet)) is not None

    if labels & {C5_COMPUTE, C6_UP, C6_DOWN}:
        fuller = _least_utilisation(fleet, filled)
        if fuller is not None:
            found.append(fuller)
    if labels & {C6_UP, C6_DOWN} and "int8" not in policy.allowed_codecs:
        change = codec_change(policy, "int8")
        if fits(change):
            found.append(change)
    if labels & {C4, C7}:
        tried = (batch_change(policy, batches[0], size) for size in sorted(batches, reverse=True))
        found += [change for change in [next((c for c in tried if c and fits(c)), None)] if change]
    return found


def _least_utilisation(fleet: ResolvedFleet, filled: Filled) -> Change | None:
    """In whole percent; None where there is not more to allow."""
    now = fleet.policy.server_utilisation

    def change(factor: float) -> Change:
        most = math.ceil(100 * now * factor - ROUNDING) / 100
        return policy_change(
            f"server_utilisation {most:g} instead of {now:g}", server_utilisation=most
        )

    rows = [one.row for one in limits(fleet) if one.label in (C5_COMPUTE, C6_UP, C6_DOWN)]
    most = MOST_UTILISATION / now
    least = _least(change, fleet, most, most, rows, filled) if most > 1 else None
    return None if least is None else change(least)


def leave_out(fleet: ResolvedFleet, away: Mapping[str, int]) -> Change:
    """Without some members of some entries, {name: how many}."""
    parts = [
        name if entry.count == 1 else f"{away[name]} of the {entry.count} {name}"
        for entry in fleet.clients
        if (name := entry.name) in away
    ]
    shown = parts if len(parts) <= 5 else [*parts[:4], f"{len(parts) - 4} more"]
    names = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"

    def apply(fleet: ResolvedFleet) -> ResolvedFleet:
        left = [
            client.model_copy(update={"count": client.count - away.get(client.name, 0)})
            for client in fleet.clients
            if client.count > away.get(client.name, 0)
        ]
        return fleet.model_copy(update={"clients": tuple(left)})

    return Change(f"leaving out {sum(away.values())} of {fleet.members} clients: {names}", apply)
