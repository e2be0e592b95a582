"""The sections of `flexp roi` and `flexp spend`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ..roi_display import NAMES
from .charts import bars, grouped, tornado
from .parts import JOINT, Cell, Chart, Say, Section, Table, row, seconds, titles

if TYPE_CHECKING:
    from ...planner.roi.costs import Assumption
    from ...planner.roi.result import Alternative, Roi, Swing
    from ...planner.whatif.spend import Purchase, Spend


UNBROKEN = "\u2011"
"""A hyphen at which no line ends."""


def money(amount: Decimal | None) -> Cell:
    return Cell("–") if amount is None else Cell(f"{amount:,.2f}", float(amount))


def roi_section(made: Roi, say: Say) -> Section:
    best = made.best
    text = say("best of these: {}, net present value {} {} over {} years")
    verdict = text.format(say(NAMES[best.kind]), money(best.npv).text, made.currency, made.years)
    possible = [one for one in made.alternatives if one.possible]
    names = [say(NAMES[one.kind]) for one in possible]
    cost = [
        (say("once"), [-float(one.total("once", positive=False)) for one in possible]),
        (say("a year"), [-float(one.total("yearly", positive=False)) for one in possible]),
        (say("value a year"), [float(one.total("yearly", positive=True)) for one in possible]),
    ]
    values = say("Net present value ({})").format(made.currency)
    costs = say("Cost and value ({})").format(made.currency)
    alt = ", ".join(f"{n}: {one.npv:,}" for n, one in zip(names, possible, strict=True))
    charts = [
        Chart(values, bars(names, [float(one.npv) for one in possible], made.currency), alt),
        Chart(costs, grouped(names, cost, made.currency), costs),
    ]
    if swings := _tornado(made, say):
        charts.append(swings)
    return Section(
        title=say("Does it pay: {} on {}").format(made.model, made.fleet),
        verdicts=(verdict,),
        good=best.kind == "flexp",
        tables=(
            _alternatives(made, say),
            *(_lines(made, one, say) for one in made.alternatives if one.lines),
            *([_swings(made, say)] if made.tornado else []),
            assumptions_table(made.assumptions, say),
        ),
        charts=tuple(charts),
        remarks=tuple(
            f"{say(NAMES[one.kind])}: {say(text)}"
            for one in made.alternatives
            for text in one.remarks
        ),
    )


def _alternatives(made: Roi, say: Say) -> Table:
    def cells(one: Alternative) -> tuple[Cell, ...]:
        back = one.payback_years
        return row(
            say(NAMES[one.kind]),
            float(one.devices),
            float(one.left_out),
            money(-one.total("once", positive=False)),
            money(-one.total("yearly", positive=False)),
            money(one.total("yearly", positive=True)),
            money(one.npv) if one.possible else say("no plan"),
            Cell(f"{back:.1f}", float(back)) if back is not None and one.devices else None,
            None if one.break_even_devices is None else float(one.break_even_devices),
        )

    return Table(
        say("Alternatives"),
        titles(
            say,
            *("alternative", "devices", "left out", "once", "a year", "value a year"),
            *("net present value", "payback (years)", "pays from (devices)"),
        ),
        tuple(map(cells, made.alternatives)),
        say("money in {}, over {} years").format(made.currency, made.years),
    )


def _lines(made: Roi, one: Alternative, say: Say) -> Table:
    return Table(
        say(NAMES[one.kind]),
        titles(say, "what", "when", "amount", "how", "assumes"),
        tuple(
            row(
                *(say(line.name), say(line.when), money(line.amount), say(line.how)),
                ", ".join(line.assumes),
            )
            for line in one.lines
        ),
    )


def _swings(made: Roi, say: Say) -> Table:
    return Table(
        say("What matters most to FlexP-SFL"),
        titles(say, "what", "from", "to", "value at from", "value at to"),
        tuple(
            row(
                *(_swing_name(one, say), one.low, one.high),
                *(money(one.npv_low), money(one.npv_high)),
            )
            for one in made.tornado
        ),
        say(JOINT).join(
            f"{_swing_name(one, say)}: {say(text)}" for one in made.tornado for text in one.beyond
        ),
    )


def _tornado(made: Roi, say: Say) -> Chart | None:
    if not made.tornado:
        return None
    now = made.alternatives[-1].npv
    names = [_swing_name(one, say) for one in made.tornado]
    ends = [(float(one.npv_low), float(one.npv_high)) for one in made.tornado]
    notes = [(one.low, one.high) for one in made.tornado]
    title = say("What matters most to FlexP-SFL")
    label = say("Net present value ({})").format(made.currency)
    alt = ", ".join(
        f"{name}: {low:,.0f} – {high:,.0f}" for name, (low, high) in zip(names, ends, strict=True)
    )
    return Chart(title, tornado(names, ends, notes, float(now), label), f"{title}: {alt}")


def _swing_name(one: Swing, say: Say) -> str:
    return say("value of a right answer" if one.name == "value" else one.name)


def assumptions_table(found: tuple[Assumption, ...], say: Say) -> Table:
    return Table(
        say("What the figures rest on"),
        titles(say, "assumption", "amount", "currency", "source", "date", "yours"),
        tuple(
            row(
                say(one.name),
                Cell(f"{one.amount.normalize():f}", float(one.amount)),
                one.currency,
                say(one.source),
                one.date.replace("-", UNBROKEN),
                "●" if one.own else "",
            )
            for one in found
        ),
    )


def spend_section(made: Spend, say: Say) -> Section:
    rows = tuple(
        row(
            say(one.name),
            money(one.once),
            money(one.a_year),
            say(one.status) if one.saved_days is None else seconds(_seconds(one.saved_days)),
            None if one.finish_saved_days is None else seconds(_seconds(one.finish_saved_days)),
            None if one.per_money is None else seconds(_seconds(100 * one.per_money)),
        )
        for one in made.ranked
    )
    columns = ("one unit of", "once", "a year", "run shorter", "slowest shorter", "per 100 a year")
    verdict = say("nothing of this kind that was tried is enough")
    if made.ranked:
        verdict = say("buy next: {}").format(say(made.ranked[0].name))
    elif made.purchase is not None:
        parts = " + ".join(f"{part.count} × ({say(part.name)})" for part in made.purchase.parts)
        text = say("the smallest purchase that is enough: {}; {} {} once and {} a year")
        once, a_year = money(made.purchase.once).text, money(made.purchase.a_year).text
        verdict = text.format(parts, made.currency, once, a_year)
    return Section(
        title=say("What to buy next: {}").format(made.fleet),
        verdicts=(verdict,),
        good=bool(made.ranked),
        tables=(
            *([Table(say("What to buy next"), titles(say, *columns), rows)] if rows else []),
            *([_purchase(made.purchase, say)] if made.purchase is not None else []),
            assumptions_table(made.assumptions, say),
        ),
        remarks=tuple(map(say, made.baseline.why)),
    )


def _purchase(bought: Purchase, say: Say) -> Table:
    caption = (
        "nothing cheaper of these makes a plan possible"
        if bought.proven
        else "no part of it can be smaller alone; a cheaper mixture may exist"
    )
    return Table(
        say("The smallest purchase"),
        titles(say, "purchase", "times", "once", "a year"),
        tuple(
            row(say(part.name), float(part.count), money(part.once), money(part.a_year))
            for part in bought.parts
        ),
        say(caption),
    )


def _seconds(days: float) -> float:
    return max(0.0, 86400 * days)
