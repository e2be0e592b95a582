"""What `flexp roi` prints: the alternatives, their lines, the tornado, and the assumptions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.roi.result import Alternative, Roi, Swing

NAMES = {
    "none": "no model",
    "central": "central fine-tuning",
    "fedavg": "fedavg on the devices",
    "new devices": "fedavg, new devices",
    "flexp": "FlexP-SFL",
}
NOTHING = "–"
BAR_COLUMNS = 24


def show(made: Roi) -> None:
    to = render.console()
    to.print(alternatives_table(made))
    to.print()
    for one in made.alternatives[1:]:
        if one.lines:
            to.print(lines_table(made, one))
        else:
            to.print(f"{NAMES[one.kind]}: {'; '.join(one.remarks)}", markup=False)
        to.print()
    if made.tornado:
        to.print(tornado_table(made))
        for swing in made.tornado:
            for text in swing.beyond:
                to.print(f"{swing.name}: {text}", markup=False)
        to.print()
    to.print(assumptions_table(made))
    to.print()
    for text in verdict(made):
        to.print(text, markup=False)


def verdict(made: Roi) -> list[str]:
    best = made.best
    said = f"{_money(best.npv)} {made.currency} over {made.years} years"
    lines = [f"best of these: {NAMES[best.kind]}, net present value {said}"]
    flexp = made.alternatives[-1]
    if best.kind != "flexp" and flexp.possible:
        lines.append(f"FlexP-SFL is at {_money(flexp.npv)}")
    defaults = [one for one in made.assumptions if not one.own]
    if defaults:
        assumed = sum(one.source.startswith("assumed") for one in defaults)
        lines.append(
            f"{len(defaults)} figures are defaults, {assumed} of them assumed: `flexp catalog "
            "costs > costs.yaml`, put yours in, --costs costs.yaml"
        )
    return lines


def alternatives_table(made: Roi) -> Table:
    table = render.table(
        *("alternative", ">devices", ">once", ">a year", ">value\na year", ">NPV"),
        *(">payback", ">pays from"),
        title=f"{made.model} on {made.fleet}, {made.currency}, {made.years} years",
        caption="once, a year: paid; NPV: net present value against no model; payback: years, not "
        "discounted; pays from: devices of this mixture from which the NPV is not negative",
    )
    for one in made.alternatives:
        if not one.possible:
            table.add_row(NAMES[one.kind], "no plan", *[NOTHING] * 6)
            continue
        paid = -one.total("once", positive=False), -one.total("yearly", positive=False)
        back, size = one.payback_years, one.break_even_devices
        table.add_row(
            NAMES[one.kind],
            f"{one.devices:,}",
            *map(_money, paid),
            _money(one.total("yearly", positive=True)),
            f"[{'green' if one.npv >= 0 else 'red'}]{_money(one.npv)}[/]",
            NOTHING if back is None or not one.devices else f"{back:.1f}",
            NOTHING if size is None else f"{size:,}",
        )
    return table


def lines_table(made: Roi, one: Alternative) -> Table:
    """Every amount with its multiplication, and remarks."""
    from rich.markup import escape

    table = render.table(
        *("what", ">" + made.currency, "how"),
        title=f"{NAMES[one.kind]}: {one.devices:,} devices"
        + (f", {one.left_out:,} left out" if one.left_out else ""),
        caption=escape("; ".join(one.remarks)),
    )
    for line in one.lines:
        when = " [dim]once[/]" if line.when == "once" else " [dim]a year[/]"
        table.add_row(escape(line.name) + when, f"{line.amount:,.2f}", escape(line.how))
    return table


def tornado_table(made: Roi) -> Table:
    """Bars between the NPVs of both ends, on one scale."""
    ends = [value for swing in made.tornado for value in (swing.npv_low, swing.npv_high)]
    now = made.alternatives[-1].npv
    low, high = min([*ends, now]), max([*ends, now])
    table = render.table(
        *("what", "from, to", ">NPV", ">NPV", "on one scale"),
        title="What matters most to FlexP-SFL",
        caption=f"NPV now {_money(now)} (│)",
    )
    for swing in made.tornado:
        table.add_row(
            swing.name,
            f"{swing.low}, {swing.high}",
            *map(_money, (swing.npv_low, swing.npv_high)),
            _bar(swing, now, low, high),
        )
    return table


def _bar(swing: Swing, now: Decimal, low: Decimal, high: Decimal) -> str:
    if high == low:
        return ""
    known = (swing.npv_low, swing.npv_high, now)

    def column(value: Decimal) -> int:
        return round(float((value - low) / (high - low)) * (BAR_COLUMNS - 1))

    filled = range(column(min(known)), column(max(known)) + 1)
    cells = ["█" if index in filled else " " for index in range(BAR_COLUMNS)]
    cells[column(now)] = "│"
    return "".join(cells)


def assumptions_table(made: Roi) -> Table:
    from rich.markup import escape

    table = render.table(
        *("assumption", ">amount", "source, date"),
        title="What the figures rest on",
        caption="●: from your cost file or fleet",
    )
    for one in made.assumptions:
        amount = f"{one.amount.normalize():f} {one.currency}".strip()
        source = f"{one.source}, {one.date}" if one.date else one.source
        mark = "● " if one.own else ""
        table.add_row(escape(f"{mark}{one.name}"), amount, escape(source))
    return table


def _money(amount: Decimal) -> str:
    """Hundredths where they matter."""
    return f"{amount:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"
