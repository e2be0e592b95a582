"""What `flexp plan` prints: clients or classes, servers, objectives; and the CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import render
from .plan_rows import By, Row, common, rows, varying

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.plan import ObjectiveResult, Plan, ServerPlan

Shown = Literal["auto", "class", "client"]

SHOWN = 40
"""Rows that are printed unless --by asks for all, and clients up to which each has its own."""
CAPTION = (
    "depth: blocks that train on the device, of {blocks}; memory: predicted peak, of what is "
    "usable; {bytes}step: mean seconds, median and 95th percentile; the mean is made up of device, "
    "wire, server and wait{hidden}"
)
OF_CLASSES = "; of a class: means, but the highest memory and p95"


def show(made: Plan, by: Shown) -> None:
    to = render.console()
    to.print(client_table(made, by))
    to.print()
    if len(made.servers) > 1:
        to.print(server_table(made, by))
        to.print()
    lines = render.rows()
    for label, text in summary(made):
        lines.add_row(label, _plain(text))
    to.print(lines)


def client_table(made: Plan, by: Shown) -> Table:
    """Two lines or more for each client or class, 80 columns; of a class, its servers are in the
    servers' table."""
    kind: By = by if by != "auto" else "client" if made.devices <= SHOWN else "class"
    found = rows(made, kind)
    shown = found if by != "auto" else found[:SHOWN]
    hidden = any(entry.predicted.hidden_seconds for entry in made.clients)
    caption = CAPTION.format(
        blocks=made.blocks,
        bytes="bytes: up and down in a step; " * (kind == "client"),
        hidden=", less what overlaps" * hidden,
    )
    table = render.table(
        kind,
        *([">count", "depth", ">memory"] if kind == "class" else ["depth", ">memory", ">bytes"]),
        *(">step\np50–p95", ">device\nwire", ">server\nwait"),
        title=f"{made.model} on {made.fleet}: {made.devices:,} client{'s' * (made.devices != 1)}",
        caption=caption + OF_CLASSES * (kind == "class"),
    )
    fields = [field for field in varying(made) if kind == "client" or field != "server"]
    for row in shown:
        about, depth, memory, moved, *times = _cells(row, made.blocks, fields)
        if kind == "class":
            table.add_row(about, f"{row.count:,}", depth, memory, *times)
        else:
            table.add_row(about, depth, memory, moved, *times)
    if len(found) > len(shown):
        left = found[len(shown) :]
        count = (f"{sum(row.count for row in left):,}",) if kind == "class" else ()
        noun = "classes" if kind == "class" else "clients"
        table.add_row(f"[dim]{len(left):,} more {noun}: --by {kind} shows all[/]", *count)
    return table


def _cells(row: Row, blocks: int, fields: Sequence[str]) -> tuple[str, ...]:
    from rich.markup import escape

    from ..catalog.units import format_bytes

    entry = row.first
    about = "; ".join([f"{entry.device}, {entry.link}", *row.choices(fields)])
    depth = round(sum(e.count * e.depth for e in row.entries) / row.count)
    return (
        f"{escape(row.name)}\n[dim]{escape(about)}[/]",
        render.depth_bar(depth, blocks, row.depth_text, max(e.top for e in row.entries)),
        f"{format_bytes(row.most('peak_memory_bytes'))}\n"
        f"[dim]of {format_bytes(entry.memory_limit_bytes)}[/]",
        f"↑{format_bytes(row.mean('up_bytes_per_step'))}\n"
        f"↓{format_bytes(row.mean('down_bytes_per_step'))}",
        f"[bold]{seconds(row.mean('step_seconds'))}[/]\n{seconds(row.mean('p50_step_seconds'))}–"
        f"{seconds(row.most('p95_step_seconds'))}",
        f"{seconds(row.mean('device_seconds'))}\n{seconds(row.mean('wire_seconds'))}",
        f"{seconds(row.mean('server_seconds'))}\n{seconds(row.mean('wait_seconds'))}",
    )


def seconds(value: float) -> str:
    """Seconds for a narrow column: 0.0354 -> "0.035", 12.34 -> "12.3", 2000 -> "2000"."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def server_table(made: Plan, by: Shown) -> Table:
    from rich.markup import escape

    table = render.table(
        *("server", ">clients", ">memory", ">compute", ">link", ">wait"),
        title=f"{len(made.servers):,} servers",
        caption=f"compute, link: how full, of {made.servers[0].utilisation_limit:.0%} at most; "
        "wait: mean seconds of a step in the queue and on the full link",
    )
    shown = made.servers if by != "auto" else made.servers[:SHOWN]
    waits = mean_waits(made)
    for server in shown:
        name, device = escape(server.name), escape(f"{_workers(server)}{server.device}")
        table.add_row(
            f"{name} [dim]{device}[/]",
            f"{server.clients:,}",
            _memory(server),
            f"{server.utilisation:.0%}",
            f"{server.link_utilisation:.0%}",
            seconds(waits[server.name]),
        )
    if len(shown) < len(made.servers):
        table.add_row(f"[dim]{len(made.servers) - len(shown):,} more: --by class shows all[/]")
    return table


def mean_waits(made: Plan) -> dict[str, float]:
    """By server: the mean seconds that a client's step waits there; 0 without clients."""
    total = {server.name: 0.0 for server in made.servers}
    for entry in made.clients:
        total[entry.server] += entry.count * entry.predicted.wait_seconds
    return {s.name: total[s.name] / s.clients if s.clients else 0.0 for s in made.servers}


def _memory(server: ServerPlan) -> str:
    from ..catalog.units import format_bytes

    used, limit = server.peak_memory_bytes, server.memory_limit_bytes
    return f"{format_bytes(used)} of {format_bytes(limit)}"


def _workers(server: ServerPlan) -> str:
    return f"{server.accelerators} × " if server.accelerators > 1 else ""


def summary(made: Plan) -> list[tuple[str, str]]:
    """(label, text): the fleet's bytes, a single server's load, the objectives with their proofs,
    the bottleneck, and who takes no part."""
    from ..catalog.units import format_bytes, format_seconds

    up = sum(c.count * c.predicted.up_bytes_per_step for c in made.clients)
    down = sum(c.count * c.predicted.down_bytes_per_step for c in made.clients)
    of_all = f"a step of each client ↑{format_bytes(up)} ↓{format_bytes(down)}"
    lines = [("all", ", ".join([*common(made), of_all]))]
    if len(made.servers) == 1:
        (server,) = made.servers
        wait = format_seconds(mean_waits(made)[server.name])
        lines.append(
            (
                "server",
                f"{_workers(server)}{server.device}: {_memory(server)}; compute "
                f"{server.utilisation:.0%}, link {server.link_utilisation:.0%} (limit "
                f"{server.utilisation_limit:.0%}); wait {wait} a step",
            )
        )
    lines += [("objective", objective_text(found)) for found in made.objectives]
    lines += [("bottleneck", _bottleneck(made))] if made.clients else []
    return [*lines, *(("absent", text) for text in _absent(made))]


def objective_text(found: ObjectiveResult) -> str:
    value = f"{found.name}: {figure(found.value, found.unit)}"
    if found.status == "not optimised":
        return value
    return (
        f"{value}, proven bound {figure(found.bound, found.unit)}, gap {found.gap:.2%}: "
        f"{found.status}"
    )


def figure(value: float, unit: str) -> str:
    """Of an objective: `figure(24737.9, "s")` is "24,738 s"."""
    from ..catalog.units import format_bytes

    if unit == "bytes":
        return format_bytes(value)
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 1000 else f"{value:.4g} {unit}".strip()


def _bottleneck(made: Plan) -> str:
    from ..catalog.units import format_seconds

    slowest = next(c for c in made.clients if made.bottleneck in c.members)
    steps, step = made.settings.batch / slowest.batch, slowest.predicted.step_seconds
    if steps == 1:
        return f"{made.bottleneck}, {format_seconds(step)} a step"
    return (
        f"{made.bottleneck}, {format_seconds(steps * step)} a round: {steps:g} steps of "
        f"{format_seconds(step)}"
    )


def _absent(made: Plan) -> list[str]:
    from ..planner.names import member_name

    lines = []
    for away in made.absent:
        names = [
            member_name(away.name, number, away.class_size)
            for number in sorted({away.first, away.first + away.count - 1})
        ]
        of = f": {away.count:,} of {away.class_size:,}" if away.class_size > 1 else ""
        lines.append(" to ".join(names) + of)
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN:,} more"]


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def next_command(output: Path | None) -> str:
    if output is None:
        return "keep the plan with -o plan.yaml, then flexp train plan.yaml"
    return f"flexp train {output} --data FILE.csv"


def csv_text(made: Plan) -> str:
    """A row for each entry of the plan: `count` devices that do the same. Those that take no part
    have a name and a count alone."""
    from ..planner.plan import ClientPlan, Prediction

    file = io.StringIO()
    columns = [name for name in ClientPlan.model_fields if name != "predicted"]
    figures = list(Prediction.model_fields)
    writer = csv.DictWriter(file, [*columns, *figures], lineterminator="\n")
    writer.writeheader()
    for entry in made.clients:
        writer.writerow({**entry.model_dump(exclude={"predicted"}), **entry.predicted.model_dump()})
    for away in made.absent:
        writer.writerow(away.model_dump())
    return file.getvalue()
