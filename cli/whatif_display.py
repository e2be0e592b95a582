"""What `flexp whatif` prints: baseline, scenario and difference; a row each for many scenarios."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.fleet import ResolvedFleet
    from ..planner.whatif.outcome import ClassOutcome, Figures, Outcome, WhatIf

SHOWN = 60
"""Scenarios and classes with a row of their own."""
NOTICEABLE = 0.0005
"""Share of a figure below which a change is not shown: about what a plan's gap leaves open."""
NOTHING = "–"
ROWS = {
    "devices": ("devices", "count"),
    "absent": ("absent", "count"),
    "mean_depth": ("depth, mean", "blocks"),
    "mean_round_seconds": ("round, mean", "seconds"),
    "slowest_round_seconds": ("round, slowest", "seconds"),
    "finish_hours": ("run ends after", "hours"),
    "finish_days": ("  in days", "days"),
    "bytes_per_day": ("bytes a day", "bytes"),
    "run_bytes": ("bytes of a run", "bytes"),
    "energy_wh": ("energy of a run", "energy"),
    "server_hours": ("server hours", "hours"),
    "server_cost": ("server cost", "money"),
}
"""Figure -> what it is called, and how it is written."""
BRIEF = ("mean_depth", "slowest_round_seconds", "finish_hours", "bytes_per_day", "server_cost")


def show(made: WhatIf) -> None:
    to = render.console()
    if len(made.scenarios) == 1:
        (one,) = made.scenarios
        to.print(side_by_side(made, one))
        if one.planned:
            to.print()
            to.print(class_table(made, one))
    else:
        to.print(brief_table(made))
    to.print()
    lines = render.rows()
    for label, text in _remarks(made):
        lines.add_row(label, text)
    to.print(lines)


def side_by_side(made: WhatIf, one: Outcome) -> Table:
    table = render.table(
        *("figure", ">baseline", ">scenario", ">change"), title=f"{made.fleet}: {_short(one.name)}"
    )
    table.add_row("plan", made.baseline.status, one.status)
    for name, (label, kind) in ROWS.items():
        before, after = cell(made.baseline.figures, name), cell(one.figures, name)
        table.add_row(
            label,
            figure_text(before, kind, made.blocks),
            figure_text(after, kind, made.blocks),
            change(before, after),
        )
    return table


def class_table(made: WhatIf, one: Outcome) -> Table:
    from rich.markup import escape

    table = render.table(
        *("class", ">devices", "depth before", "depth after", ">slowest round"),
        title="Depth of each device class",
        caption=f"blocks on the device, of {made.blocks} (⌀: mean); slowest round: before, after",
    )
    before = {found.name: found for found in made.baseline.classes}
    after = {found.name: found for found in one.classes}
    names = list(dict.fromkeys([*before, *after]))
    for name in names[:SHOWN]:
        was, now = before.get(name), after.get(name)
        table.add_row(
            escape(name),
            _two(*(NOTHING if found is None else f"{found.devices:,}" for found in (was, now))),
            _depth(was, made.blocks),
            _depth(now, made.blocks),
            _two(
                *(
                    NOTHING
                    if found is None or not found.devices
                    else figure_text(found.slowest_round_seconds, "seconds")
                    for found in (was, now)
                )
            ),
        )
    if len(names) > SHOWN:
        table.add_row(f"[dim]{len(names) - SHOWN:,} more: --json has them[/]")
    return table


def brief_table(made: WhatIf) -> Table:
    """Two lines a scenario: its figures, and how they differ from the baseline's."""
    from rich.markup import escape

    table = render.table(
        *("scenario", "plan"),
        *(">depth", ">slowest\nround", ">run\nends after", ">bytes\na day", ">server\ncost"),
        title=f"{made.fleet}: {len(made.scenarios):,} scenarios",
        caption="second line: the difference from the baseline; --json and --csv have more figures",
    )
    for one in (made.baseline, *made.scenarios[:SHOWN]):
        cells = []
        for name in BRIEF:
            value = cell(one.figures, name)
            moved = "" if one is made.baseline else change(cell(made.baseline.figures, name), value)
            text = figure_text(value, ROWS[name][1], made.blocks, short=True)
            cells.append(f"{text}\n[dim]{moved}[/]" if moved else text)
        table.add_row(escape(one.name), _status(one), *cells)
    left = len(made.scenarios) - SHOWN
    if left > 0:
        table.add_row(f"[dim]{left:,} more: --json and --csv have them[/]")
    return table


def _status(one: Outcome) -> str:
    style = {"optimal": "green", "feasible": "green"}.get(one.status, "red")
    return f"[{style}]{one.status}[/]"


def _remarks(made: WhatIf) -> list[tuple[str, str]]:
    from rich.markup import escape

    found = []
    shown = (made.baseline, *made.scenarios[:SHOWN])
    for one in shown:
        if one.planned and len(made.scenarios) > 1:
            continue
        found += [(_short(escape(one.name), 24), escape(text)) for text in one.why]
    notes = dict.fromkeys(note for one in made.scenarios for note in one.notes)
    found += [("assumed", escape(note)) for note in (*made.assumptions, *notes)]
    return found


def assumptions(fleet: ResolvedFleet, hours: float) -> tuple[str, ...]:
    """What the figures rest on, in words."""
    rounds = fleet.policy.steps_per_client
    found = [
        f"a run is {rounds:,} rounds of each client, {hours:g} hours a day",
        "energy: devices and servers while they compute; server hours: all servers, as long as the "
        "run takes",
    ]
    unknown = sum(client.count for client in fleet.clients if client.device.watts is None)
    if unknown:
        found.append(f"energy leaves out {unknown:,} devices whose power is not known")
    if any(server.cost_per_hour is None for server in fleet.servers):
        found.append("no server cost: cost_per_hour is not given for every server")
    return tuple(found)


def cell(figures: Figures | None, name: str) -> float | None:
    value = getattr(figures, name, None)
    return None if value is None else float(value)


def figure_text(value: float | None, kind: str, blocks: int = 0, short: bool = False) -> str:
    from ..catalog.units import format_bytes, format_seconds

    if value is None:
        return NOTHING
    if kind == "seconds":
        return format_seconds(value) if value else "0 s"
    if kind == "bytes":
        return format_bytes(value)
    if kind == "energy":
        return f"{value / 1000:,.3g} kWh" if value >= 1000 else f"{value:,.3g} Wh"
    if kind == "blocks":
        return f"{value:.2f}" + ("" if short else f" of {blocks}")
    if kind == "money":
        return f"{value:,.2f}"
    if kind == "count":
        return f"{value:,.0f}"
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{number} {kind[0]}"


def change(before: float | None, after: float | None) -> str:
    """ "+12.5%"; the difference where there was nothing before, "" where hardly anything did."""
    if before is None or after is None or before == after:
        return ""
    if not before:
        return f"{after - before:+,.3g}"
    share = after / before - 1
    return f"{share:+.1%}" if abs(share) >= NOTICEABLE else ""


def _two(before: str, after: str) -> str:
    return before if before == after else f"[dim]{before}[/]\n{after}"


def _depth(found: ClassOutcome | None, blocks: int) -> str:
    if found is None:
        return NOTHING
    if not found.devices:
        return f"absent ({found.absent:,})"
    low, high = found.least_depth, found.greatest_depth
    span = f"{low}" if low == high else f"{low}–{high} (⌀ {found.mean_depth:.1f})"
    return render.depth_bar(round(found.mean_depth), blocks, span)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def csv_text(made: WhatIf) -> str:
    """A row for the baseline and for each scenario."""
    from ..planner.whatif.outcome import Figures

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    figures = list(Figures.model_fields)
    writer.writerow(["scenario", "model", "status", "gap", *figures, "why"])
    for one in (made.baseline, *made.scenarios):
        values: Sequence[object] = [getattr(one.figures, name, None) for name in figures]
        writer.writerow([one.name, one.model, one.status, one.gap, *values, "; ".join(one.why)])
    return file.getvalue()
