"""What a fleet has too little of, and changes that give a tenth more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..catalog.units import format_bit_rate, format_bytes, format_seconds
from .change import (
    Change,
    client_change,
    format_speed,
    policy_change,
    server_change,
    with_budget,
    with_link,
    with_memory,
    with_more_memory,
    with_speed,
)
from .checker import variant_of
from .explanation import Use
from .fleet import ResolvedFleet
from .plan import ClientPlan
from .predict import C2, C3, C7, C8, C9, broken_limits, predict_step
from .program import C4, C5_COMPUTE, C6_DOWN, C6_UP
from .what_if import WhatIf

NEARLY_FULL = 0.9
"""Share of a limit from which on a little more of it may matter."""
MORE = 1.1
"""A tenth more."""
NOTICEABLE_WAIT = 0.02
"""Share of the steps that is spent waiting, from which on a faster server may matter."""


@dataclass(frozen=True)
class Stopped:
    """Devices that do the same, and what of their own keeps them from one block more."""

    client: ClientPlan
    label: str
    text: str


def stopped_at(what_if: WhatIf) -> Iterator[Stopped]:
    policy, samples = what_if.fleet.policy, what_if.menu.round_samples
    for client in what_if.plan.clients:
        here = variant_of(client)
        deeper = replace(here, placement=replace(here.placement, depth=client.depth + 1))
        if deeper not in what_if.demands:
            text = f"{client.depth} of {what_if.plan.blocks} blocks: the server keeps at least one"
            yield Stopped(client, C8, text)
            continue
        asked, entry = what_if.demands[deeper], what_if.entries[client.name]
        step = predict_step(asked, deeper, entry, what_if.machines[client.server])
        wait = client.predicted.wait_seconds
        found = broken_limits(asked, deeper, step, entry, policy, samples, wait)
        yield Stopped(client, *next(found, ("", "")))


@dataclass(frozen=True)
class Scarce:
    """Something of which there might be more, and the change that gives it."""

    label: str
    change: Change


def scarce(
    fleet: ResolvedFleet,
    shared: Sequence[Use],
    stopped: Sequence[Stopped],
    time: Mapping[str, float],
) -> Iterator[Scarce]:
    """A tenth more of every limit that is nearly full, and of what keeps devices from more."""
    per_server = len(shared) // len(fleet.servers)
    for index, use in enumerate(shared):
        waits = use.label == C5_COMPUTE and time["wait"] >= NOTICEABLE_WAIT
        if use.share >= NEARLY_FULL or waits:
            yield Scarce(use.label, _more_of_server(fleet, index // per_server, use.label))
    labels = {one.label for one in stopped if one.text}
    if C2 in labels:
        names = [one.client.name for one in stopped if one.label == C2]
        yield Scarce(C2, _more_memory(fleet, names))
    if C3 in labels:
        names = [one.client.name for one in stopped if one.label == C3]
        yield Scarce(C3, _more_budget(names))
    yield from _rules(fleet, stopped, labels)


def _rules(fleet: ResolvedFleet, stopped: Sequence[Stopped], labels: set[str]) -> Iterator[Scarce]:
    """Limits of the policy, and depths that are asked for."""
    policy = fleet.policy
    deadline, budget = policy.step_deadline_seconds, policy.energy_budget_wh
    late = deadline is not None and any(
        one.client.predicted.step_seconds >= NEARLY_FULL * deadline for one in stopped
    )
    if deadline is not None and (late or C7 in labels):
        text = f"a step deadline of {format_seconds(MORE * deadline)}"
        yield Scarce(C7, policy_change(text, step_deadline_seconds=MORE * deadline))
    if budget is not None and C9 in labels:
        text = f"an energy budget of {MORE * budget:.3g} Wh"
        yield Scarce(C9, policy_change(text, energy_budget_wh=MORE * budget))
    asked = {client.name: client.min_depth for client in fleet.clients}
    bound = [o.client.name for o in stopped if 1 < asked[o.client.name] == o.client.depth]
    if bound:
        distinct = dict.fromkeys(bound)
        text = f"one block less asked for of {_named(distinct)} (min_depth)"
        yield Scarce(
            C8,
            client_change(
                text,
                distinct,
                lambda c: c.model_copy(update={"min_depth": c.min_depth - 1}),
            ),
        )


def _more_of_server(fleet: ResolvedFleet, kind: int, label: str) -> Change:
    server = fleet.servers[kind]
    name = server.name
    each = " each" if server.count > 1 else ""
    memory = int(MORE * server.device.usable_memory_bytes)
    speed = MORE * server.device.training_flops_per_second
    up, down = MORE * server.link.up_bits_per_second, MORE * server.link.down_bits_per_second
    made: dict[str, Callable[[], Change]] = {
        C4: lambda: server_change(
            f"{format_bytes(memory)} of memory for {name}{each}",
            name,
            lambda s: with_memory(s, memory),
        ),
        C5_COMPUTE: lambda: server_change(
            f"{format_speed(speed)} for {name}{each}", name, lambda s: with_speed(s, speed)
        ),
        C6_UP: lambda: server_change(
            f"{format_bit_rate(up)} from {name}{each}",
            name,
            lambda s: with_link(s, up_bits_per_second=up),
        ),
        C6_DOWN: lambda: server_change(
            f"{format_bit_rate(down)} to {name}{each}",
            name,
            lambda s: with_link(s, down_bits_per_second=down),
        ),
    }
    return made[label]()


def _more_memory(fleet: ResolvedFleet, names: Sequence[str]) -> Change:
    distinct = dict.fromkeys(names)
    return client_change(
        f"a tenth more memory on {_named(distinct)}",
        distinct,
        lambda c: with_more_memory(c, int((MORE - 1) * c.device.usable_memory_bytes)),
    )


def _more_budget(names: Sequence[str]) -> Change:
    distinct = dict.fromkeys(names)
    return client_change(
        f"a tenth more data for {_named(distinct)}",
        distinct,
        lambda c: with_budget(c, int(MORE * (c.link.data_budget_bytes or 0))),
    )


def _named(names: Mapping[str, None]) -> str:
    first, *others = names
    if len(others) == 1:
        return f"{first} and {others[0]}"
    return f"{first} and {len(others):,} more" if others else first
