"""What `flexp fleet check` prints: a table of equal clients, and what they add up to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import render
from .catalog_display import gigaflops

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.client_groups import ClientGroup
    from ..planner.fleet import Policy, ResolvedServer
    from ..planner.fleet_summary import FleetSummary

CAPTION = (
    "clients: an entry of the file, or the first of several equal ones; memory: for training, of "
    "all; GFLOP/s: sustained in training, of one device; up is from the client"
)
SHOWN = 40
"""Groups with a row of their own; the others are counted."""


def show(found: FleetSummary, file: Path) -> None:
    to = render.console()
    to.print(group_table(found))
    to.print()
    lines = render.rows()
    for label, text in summary(found):
        lines.add_row(label, text)
    to.print(lines)
    to.print(f"\nnext: flexp plan {file} --model NAME", style="bold", markup=False, soft_wrap=True)


def group_table(found: FleetSummary) -> Table:
    """Two lines for each group of equal clients, 80 columns."""
    count = found.totals.clients
    title = f"{found.name}: {count:,} client{'s' * (count > 1)}, {len(found.groups):,} kinds"
    table = render.table(
        *("clients", ">count", ">memory", ">GFLOP/s", ">link", ">round trip"),
        title=title,
        caption=CAPTION,
    )
    for group in found.groups[:SHOWN]:
        table.add_row(*_cells(group))
    hidden = found.groups[SHOWN:]
    if hidden:
        members = sum(group.count for group in hidden)
        table.add_row(f"[dim]{len(hidden):,} more kinds: --json has them[/]", f"{members:,}")
    return table


def _cells(group: ClientGroup) -> tuple[str, ...]:
    from rich.markup import escape

    from ..catalog.units import format_bit_rate, format_bytes, format_seconds

    others = len(group.names) - 1
    device, link = group.device, group.link
    about = [f"{device.name}, {link.name}", *_rules(group)]
    return (
        escape(group.names[0] + (f" and {others:,} more" if others else ""))
        + f"\n[dim]{escape('; '.join(about))}[/]",
        f"{group.count:,}",
        f"{format_bytes(device.usable_memory_bytes)}\n[dim]of {format_bytes(device.ram_bytes)}[/]",
        gigaflops(device.training_flops_per_second),
        f"↑{format_bit_rate(link.up_bits_per_second)}\n"
        f"↓{format_bit_rate(link.down_bits_per_second)}",
        format_seconds(link.rtt_seconds),
    )


def _rules(group: ClientGroup) -> list[str]:
    """What the fleet file asks of these clients."""
    from ..catalog.units import format_bytes

    rules = []
    if group.max_depth is not None:
        rules.append(f"{group.min_depth} to {group.max_depth} blocks")
    elif group.min_depth > 1:
        rules.append(f"{group.min_depth} blocks or more")
    if group.link.data_budget_bytes is not None:
        rules.append(f"{format_bytes(group.link.data_budget_bytes)} a run")
    if group.optional:
        rules.append("optional")
    if group.weight != 1:
        rules.append(f"weight {group.weight:g}")
    return rules


def summary(found: FleetSummary) -> list[tuple[str, str]]:
    """(label, text) of the totals, each server, the policy and each warning."""
    from ..catalog.units import format_bit_rate, format_bytes, format_flops

    totals = found.totals
    optional = f"{totals.optional_clients:,} of them optional, " if totals.optional_clients else ""
    return [
        (
            "total",
            f"{totals.clients:,} client{'s' * (totals.clients > 1)}, {optional}"
            f"{format_bytes(totals.usable_memory_bytes)} of memory, "
            f"{format_flops(totals.training_flops_per_second)}/s, links "
            f"↑{format_bit_rate(totals.up_bits_per_second)} "
            f"↓{format_bit_rate(totals.down_bits_per_second)}",
        ),
        *(("server", _server(server)) for server in found.servers),
        ("policy", _policy(found.policy)),
        *(("warning", text) for text in found.warnings),
    ]


def _server(server: ResolvedServer) -> str:
    from ..catalog.units import format_bit_rate, format_bytes, format_flops

    name = "" if server.name == "server" else f"{server.name}, "
    several = f"{server.count} × " if server.count > 1 else ""
    speed = format_flops(server.device.training_flops_per_second)
    workers = f"{server.accelerators} × " if server.accelerators > 1 else ""
    return (
        f"{name}{several}{server.device.name}: "
        f"{format_bytes(server.device.usable_memory_bytes)} of memory, {workers}{speed}/s, "
        f"{server.link.name} ↑{format_bit_rate(server.link.up_bits_per_second)} "
        f"↓{format_bit_rate(server.link.down_bits_per_second)}"
    )


def _policy(policy: Policy) -> str:
    """What differs from a policy that says nothing, after the steps and codecs."""
    from ..catalog.units import format_seconds

    parts = [
        f"{policy.steps_per_client:,} steps a client",
        " or ".join(policy.allowed_codecs),
        f"server side {policy.server_side}, up to {policy.server_utilisation:.0%} busy",
    ]
    if policy.min_depth > 1:
        parts.append(f"{policy.min_depth} blocks or more on each device")
    for choices, noun in (
        (policy.batches, "batch"),
        (() if policy.micro_batches == (1,) else policy.micro_batches, "micro-batches"),
        (() if policy.top_blocks == (0,) else policy.top_blocks, "top blocks"),
    ):
        if choices:
            parts.append(f"{noun} {' or '.join(map(str, choices))}")
    if policy.labels_may_leave:
        parts.append("labels may leave")
    if policy.checkpointing != "never":
        parts.append(f"checkpointing {policy.checkpointing}")
    if policy.step_deadline_seconds is not None:
        parts.append(f"a step in {format_seconds(policy.step_deadline_seconds)}")
    if policy.energy_budget_wh is not None:
        parts.append(f"{policy.energy_budget_wh:g} Wh a run")
    return ", ".join(parts)
