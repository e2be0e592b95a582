"""The sections of `flexp whatif` and `flexp limits`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..whatif_display import ROWS, cell, change, figure_text
from .charts import front, grouped
from .parts import (
    JOINT,
    NONE,
    Cell,
    Chart,
    Say,
    Section,
    Table,
    listed,
    number,
    row,
    seconds,
    titles,
)

if TYPE_CHECKING:
    from ...planner.whatif.carries import Limits
    from ...planner.whatif.front import Front
    from ...planner.whatif.outcome import Outcome, WhatIf

AGAINST = {"cost": "server cost", "server": "server work", "value": "value lost"}
"""A front's other metric, as it is called here."""
NO_PLAN = {"infeasible": "no plan is possible", "unknown": "no plan was found in the time"}
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
    if len(made.scenarios) == 1:
        verdict = _verdict(made.baseline, made.scenarios[0], say)
    else:
        verdict = say("{} of {} scenarios have a plan").format(planned, len(made.scenarios))
        if best is not None:
            verdict += say(JOINT) + say("the shortest run: {}").format(_name(best, say))
    why = [
        f"{_name(one, say)}: {say(text)}" for one in every if not one.planned for text in one.why
    ]
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
            Chart(title, grouped([_short(_name(one, say)) for one in shown], series, label), title)
        )
    return Section(
        title=say("What if: {}").format(made.fleet),
        verdicts=(verdict,),
        good=None if planned else False,
        tables=(
            _side_by_side(made, say)
            if len(every) == 2 and all(one.planned for one in every)
            else _figures(made, every, say),
            _depths(made, every, say),
        ),
        charts=tuple(charts),
        remarks=tuple(why),
        assumptions=tuple(
            map(say, dict.fromkeys([*made.assumptions, *(n for one in every for n in one.notes)]))
        ),
    )


def _verdict(baseline: Outcome, one: Outcome, say: Say) -> str:
    """Of one scenario: what becomes of the run, or that there is none."""
    if one.figures is None:
        ends = ": ".join([say(NO_PLAN[one.status]), *map(say, one.why[:1])])
    else:
        after = seconds(3600 * one.figures.finish_hours).text
        if baseline.figures is None:
            ends = say("now there is a plan, and the run ends after {}").format(after)
        else:
            before = seconds(3600 * baseline.figures.finish_hours).text
            text = "the run ends after {}, as now"
            if after != before:
                text = "the run ends after {} instead of {}"
            ends = say(text).format(after, before)
    return say("with {}: {}").format(_name(one, say), ends)


def _name(one: Outcome, say: Say) -> str:
    """What its changes are called; a name that somebody gave stays as it is."""
    if one.name == ", ".join(one.changes):
        return ", ".join(map(say, one.changes))
    return say(one.name)


def _side_by_side(made: WhatIf, say: Say) -> Table:
    """Baseline, scenario and what changes."""
    before, after = made.baseline, made.scenarios[0]

    def cells(name: str) -> tuple[Cell, ...]:
        values = [cell(one.figures, name) for one in (before, after)]
        texts = (figure_text(value, ROWS[name][1], made.blocks, short=True) for value in values)
        return row(
            say(ROWS[name][0].strip()),
            *(Cell(text, value) for text, value in zip(texts, values, strict=True)),
            Cell(change(*values), _difference(*values)),
        )

    return Table(
        say("Figures"),
        titles(say, "figure", "baseline", "scenario", "change"),
        (row(say("plan"), say(before.status), say(after.status), ""), *map(cells, ROWS)),
        say("scenario: {}").format(_name(after, say)),
    )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _figures(made: WhatIf, every: tuple[Outcome, ...], say: Say) -> Table:
    """A row each; how the run changes in place of its days."""
    names, ends = [name for name in ROWS if name != "finish_days"], "finish_hours"
    now = cell(made.baseline.figures, ends)

    def cells(one: Outcome) -> Iterator[Cell]:
        yield from row(_name(one, say), say(one.status))
        for name in names:
            known = cell(one.figures, name)
            yield Cell(figure_text(known, ROWS[name][1], made.blocks, short=True), known)
            if name == ends:
                yield Cell(change(now, known), _difference(now, known))

    labels = [say(ROWS[name][0]) for name in names]
    labels.insert(names.index(ends) + 1, say("change"))
    return Table(
        say("Figures"),
        (*titles(say, "scenario", "plan"), *labels),
        tuple(tuple(cells(one)) for one in every),
        say("change: of the run, against the baseline"),
    )


def _depths(made: WhatIf, every: tuple[Outcome, ...], say: Say) -> Table:
    names = list(dict.fromkeys(found.name for one in every for found in one.classes))
    planned = [one for one in every if one.planned][: SHOWN + 1]
    depths = [{found.name: found.mean_depth for found in one.classes} for one in planned]
    return Table(
        say("Mean depth of each device class"),
        (say("class"), *(_short(_name(one, say)) for one in planned)),
        tuple(row(name, *(found.get(name) for found in depths)) for name in names),
        say("depth: blocks on the device, of {}").format(made.blocks),
    )


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def limits_section(made: Limits, say: Say) -> Section:
    rows = tuple(
        row(
            say(one.name),
            say(one.most or "not even the least"),
            one.beyond,
            listed(say, one.why),
            say(one.note),
        )
        for one in made.limits
    )
    carried = [f"{say(one.name)} {say(one.most or NONE)}" for one in made.limits]
    return Section(
        title=say("What the fleet carries: {}").format(made.fleet),
        verdicts=(say("at most: {}").format(say(JOINT).join(carried)),),
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
        say("Time against {}").format(say(AGAINST[found.metric])),
        titles(
            say, "plan", "total (s)", AGAINST[found.metric], "mean depth", "on the front", "breaks"
        ),
        tuple(
            row(
                say(point.mark),
                point.time,
                point.other,
                Cell(f"{point.mean_depth:.2f}", point.mean_depth),
                "●" if point.on_front else "",
                ", ".join(point.broken),
            )
            for point in found.points
        ),
        say(JOINT).join(
            [
                say(found.meaning),
                *(say("no plan in the time: {} slower").format(m) for m in found.missed),
            ]
        ),
    )


def _front(found: Front, say: Say) -> Chart:
    other = say(AGAINST[found.metric])
    title = say("Time against {}").format(other)
    points = [
        (p.time, p.other, "" if p.mark == "front" else say(p.mark), p.on_front)
        for p in found.points
    ]
    alt = ", ".join(f"{number(x)} s: {number(y)}" for x, y, _, best in points if best)
    label = other if found.unit in ("money", "value") else f"{other} ({found.unit})"
    return Chart(title, front(points, say("total (s)"), label), f"{title}: {alt}")
