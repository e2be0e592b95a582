"""The sections of `flexp whatif` and `flexp limits`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..whatif_display import ROWS, _text
from .charts import front, grouped
from .parts import Cell, Chart, Say, Section, Table, listed, number, row, titles

if TYPE_CHECKING:
    from ...planner.whatif.carries import Limits
    from ...planner.whatif.front import Front
    from ...planner.whatif.outcome import Outcome, WhatIf

SHOWN = 12
"""Scenarios in the picture; the tables have all."""


def whatif_section(made: WhatIf, say: Say) -> Section:
    every = (made.baseline, *made.scenarios)
    planned = sum(one.planned for one in made.scenarios)
    best = min(
        (one for one in every if one.figures is not None),
        key=lambda one: one.figures.slowest_round_seconds if one.figures else 0.0,
        default=None,
    )
    verdict = say("{} of {} scenarios have a plan").format(planned, len(made.scenarios))
    if best is not None:
        verdict += "; " + say("the shortest run: {}").format(best.name)
    why = [f"{one.name}: {text}" for one in every if not one.planned for text in one.why]
    shown = [one for one in every if one.figures is not None][:SHOWN]
    charts = []
    if shown:
        label = say("seconds of a round")
        series = [
            (say("mean"), [one.figures.mean_round_seconds for one in shown if one.figures]),
            (say("slowest"), [one.figures.slowest_round_seconds for one in shown if one.figures]),
        ]
        title = say("Rounds of each scenario")
        charts.append(
            Chart(title, grouped([_short(one.name) for one in shown], series, label), title)
        )
    return Section(
        title=say("What if: {}").format(made.fleet),
        verdicts=(verdict,),
        good=None,
        tables=(_figures(made, every, say), _depths(made, every, say)),
        charts=tuple(charts),
        remarks=tuple(why),
        assumptions=(*made.assumptions, *dict.fromkeys(n for one in every for n in one.notes)),
    )


def _figures(made: WhatIf, every: tuple[Outcome, ...], say: Say) -> Table:
    names = list(ROWS)

    def cells(one: Outcome) -> tuple[Cell, ...]:
        found = [row(one.name)[0], row(say(one.status))[0]]
        for name in names:
            value = getattr(one.figures, name, None)
            known = None if value is None else float(value)
            found.append(Cell(_text(known, ROWS[name][1], made.blocks, short=True), known))
        return tuple(found)

    return Table(
        say("Figures"),
        titles(say, "scenario", "plan", *(label.strip() for label, _ in ROWS.values())),
        tuple(cells(one) for one in every),
    )


def _depths(made: WhatIf, every: tuple[Outcome, ...], say: Say) -> Table:
    names = list(dict.fromkeys(found.name for one in every for found in one.classes))
    depths = [{found.name: found.mean_depth for found in one.classes} for one in every]
    return Table(
        say("Mean depth of each device class"),
        (say("class"), *(_short(one.name) for one in every[: SHOWN + 1])),
        tuple(row(name, *(found.get(name) for found in depths[: SHOWN + 1])) for name in names),
        say("depth: blocks on the device, of {}").format(made.blocks),
    )


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def limits_section(made: Limits, say: Say) -> Section:
    rows = tuple(
        row(
            say(one.name),
            one.most or say("not even the least"),
            one.beyond,
            listed(one.why),
            one.note,
        )
        for one in made.limits
    )
    carried = [f"{say(one.name)} {one.most or '–'}" for one in made.limits]
    return Section(
        title=say("What the fleet carries: {}").format(made.fleet),
        verdicts=(say("at most: {}").format(listed(carried)),),
        tables=(
            Table(
                say("Limits"),
                titles(say, "limit", "at most", "next step", "what is in the way", "note"),
                rows,
            ),
            *(_points(one, say) for one in made.fronts),
        ),
        charts=tuple(_front(one, say) for one in made.fronts),
    )


def _points(found: Front, say: Say) -> Table:
    return Table(
        say("Time against {}").format(say(found.metric)),
        titles(say, "plan", "total (s)", found.metric, "mean depth", "on the front", "breaks"),
        tuple(
            row(
                point.mark,
                point.time,
                point.other,
                Cell(f"{point.mean_depth:.2f}", point.mean_depth),
                "●" if point.on_front else "",
                listed(point.broken),
            )
            for point in found.points
        ),
        listed(
            [
                found.meaning,
                *(say("no plan in the time: {} slower").format(m) for m in found.missed),
            ]
        ),
    )


def _front(found: Front, say: Say) -> Chart:
    title = say("Time against {}").format(say(found.metric))
    points = [
        (p.time, p.other, "" if p.mark == "front" else p.mark, p.on_front) for p in found.points
    ]
    alt = ", ".join(f"{number(x)} s: {number(y)}" for x, y, _, best in points if best)
    label = f"{say(found.metric)} ({found.unit})"
    return Chart(title, front(points, say("total (s)"), label), f"{title}: {alt}")
