"""What is allowed in a fleet file and yet hardly meant, or known too badly to plan with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalog.device_type import format_uncertainty
from ..catalog.devices import device_names, device_type, find_device_type
from ..catalog.units import format_bit_rate, format_bytes, format_flops, format_seconds
from ..profiler.costs import client_peak_bytes, wire_bytes
from ..profiler.placement import Placement
from ..profiler.profile import Profile
from .client_groups import ClientGroup
from .fleet import Policy, ResolvedFleet, ResolvedServer

BADLY_KNOWN = 1.0
"""An uncertainty from which on a catalogue's speed is no base for a plan."""

LEAST_BITS_PER_SECOND, LEAST_FLOPS_PER_SECOND, LONGEST_RTT_SECONDS = 1e4, 1e7, 5.0
"""Beyond these a figure more likely lacks its unit: "rtt_seconds: 35" for 35 ms."""


def warnings(
    groups: Sequence[ClientGroup], fleet: ResolvedFleet, profile: Profile | None
) -> Iterator[str]:
    """One sentence each; those about a model need its profile."""
    yield from _catalogue_types(groups)
    for group in groups:
        yield from _without_units(group)
    yield from _servers(groups, fleet.servers)
    if fleet.policy.energy_budget_wh is not None:
        for group in groups:
            if group.device.watts is None:
                yield (
                    f"{who(group)}: the power of {group.device.name} is unknown, so its energy "
                    "budget can't be kept; give its watts"
                )
    if profile is not None:
        for group in groups:
            yield from _with_model(group, fleet.policy, profile)


def who(group: ClientGroup) -> str:
    """ "ann", "ann and 3 others", "class field (800)": whom a sentence is about."""
    first, others = group.names[0], group.count - 1
    if others == 0:
        return first
    if len(group.names) == 1:
        return f"class {first} ({group.count:,})"
    return f"{first} and {others:,} other{'s' * (others > 1)}"


def _catalogue_types(groups: Sequence[ClientGroup]) -> Iterator[str]:
    """Speeds known within a factor only, and what the catalogue notes about a type."""
    known = set(device_names())
    counts: dict[str, int] = {}
    for group in groups:
        name = group.device.name
        if name in known and group.device == device_type(name):
            counts[name] = counts.get(name, 0) + group.count
    for name, count in counts.items():
        entry = find_device_type(name)
        clients = f"{count:,} client{'s' * (count > 1)}"
        if entry.uncertainty >= BADLY_KNOWN:
            yield (
                f"the speed of {name} ({clients}) is known {format_uncertainty(entry.uncertainty)} "
                "only; run `flexp probe -o device.yaml` on one of them"
            )
        if entry.note is not None:
            yield f"{name} ({clients}): {entry.note}"


def _without_units(group: ClientGroup) -> Iterator[str]:
    device, link = group.device, group.link
    for field, text, odd in (
        (
            "training_flops_per_second",
            f"{format_flops(device.training_flops_per_second)}/s",
            device.training_flops_per_second < LEAST_FLOPS_PER_SECOND,
        ),
        (
            "up_bits_per_second",
            format_bit_rate(link.up_bits_per_second),
            link.up_bits_per_second < LEAST_BITS_PER_SECOND,
        ),
        (
            "down_bits_per_second",
            format_bit_rate(link.down_bits_per_second),
            link.down_bits_per_second < LEAST_BITS_PER_SECOND,
        ),
        ("rtt_seconds", format_seconds(link.rtt_seconds), link.rtt_seconds > LONGEST_RTT_SECONDS),
    ):
        if odd:
            yield f"{who(group)}: {field} is {text}; is its unit missing?"


def _servers(groups: Sequence[ClientGroup], servers: Sequence[ResolvedServer]) -> Iterator[str]:
    """Clients that every server is slower than, by its compute or its link."""
    speed = max(server.device.training_flops_per_second for server in servers)
    up = max(server.link.up_bits_per_second for server in servers)
    down = max(server.link.down_bits_per_second for server in servers)
    for group in groups:
        if group.device.training_flops_per_second > speed:
            own = format_flops(group.device.training_flops_per_second)
            yield (
                f"{who(group)}: faster ({own}/s) than the server ({format_flops(speed)}/s), so "
                "each block that it hands over slows its step"
            )
        if group.link.up_bits_per_second > down or group.link.down_bits_per_second > up:
            yield (
                f"{who(group)}: its link {group.link.name} is faster than the server's "
                f"(↑{format_bit_rate(up)} ↓{format_bit_rate(down)}), which bounds it"
            )


def _with_model(group: ClientGroup, policy: Policy, profile: Profile) -> Iterator[str]:
    """Limits that no depth can keep, by the cheapest placement that the policy allows. Where the
    plan may choose a batch, the bytes are those of the smallest one, and memory is not judged."""
    deepest = profile.blocks - 1
    if group.min_depth > deepest:
        yield (
            f"{who(group)}: must keep {group.min_depth} blocks, and {profile.model} has "
            f"{profile.blocks}, of which the server keeps at least one"
        )
        return
    placement = Placement(group.min_depth, checkpointing=policy.checkpointing != "never")
    batch = profile.settings.batch
    if not policy.batches:
        need = client_peak_bytes(profile, placement, group.device.runtime_bytes)
        if need > group.device.usable_memory_bytes:
            yield (
                f"{who(group)}: needs {format_bytes(need)} of memory at depth {group.min_depth} "
                f"and batch {batch}; {group.device.name} offers "
                f"{format_bytes(group.device.usable_memory_bytes)}"
            )
    share = min([batch, *policy.batches]) / batch
    codec, wire = min(
        ((codec, wire_bytes(profile, placement, codec)) for codec in policy.allowed_codecs),
        key=lambda found: found[1].up + found[1].down,
    )
    budget, steps = group.link.data_budget_bytes, policy.steps_per_client
    run_bytes = steps * share * (wire.up + wire.down)
    if budget is not None and run_bytes > budget:
        yield (
            f"{who(group)}: overloads its link {group.link.name}: {steps} steps move "
            f"{format_bytes(run_bytes)} as {codec}, its data budget is {format_bytes(budget)}"
        )
    deadline = policy.step_deadline_seconds
    seconds = (
        share
        * 8
        * (wire.up / group.link.up_bits_per_second + wire.down / group.link.down_bits_per_second)
    )
    if deadline is not None and seconds > deadline:
        yield (
            f"{who(group)}: overloads its link {group.link.name}: a step takes "
            f"{format_seconds(seconds)} on it as {codec}, the deadline is "
            f"{format_seconds(deadline)}"
        )
