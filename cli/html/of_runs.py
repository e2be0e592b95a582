"""The sections of a run, a comparison of algorithms, and a pilot's checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .charts import grouped
from .parts import (
    JOINT,
    Cell,
    Chart,
    Say,
    Section,
    Table,
    number,
    row,
    seconds,
    share,
    size,
    titles,
)

if TYPE_CHECKING:
    from ...planner.pilot.checklist import Pilot
    from ...planner.plan import Plan
    from ...runtime.comparison.intervals import Estimate
    from ...runtime.comparison.table import Table as Comparison
    from ...runtime.records import Summary

SHOWN = 24
"""Clients in a picture; the tables have all."""


def run_section(made: Summary, plan: Plan | None, say: Say) -> Section:
    """Predicted beside measured, and what was learned."""
    clients = made.clients
    before, after = made.mean("before", "personal"), made.mean("after", "personal")
    moved = {
        name: (
            one.up_bytes_per_step.predicted + one.down_bytes_per_step.predicted,
            one.up_bytes_per_step.measured + one.down_bytes_per_step.measured,
        )
        for name, one in clients.items()
    }
    worst = max((abs(m / p - 1) for p, m in moved.values() if p), default=0.0)
    parts = (
        say("personal accuracy from {} to {}").format(f"{before:.0%}", f"{after:.0%}"),
        say("bytes within {} of the plan").format(f"{worst:.1%}"),
    )
    shown = list(clients)[:SHOWN]
    series = [
        (say(word), [moved[name][index] / 1e6 for name in shown])
        for index, word in enumerate(("predicted", "measured"))
    ]
    accuracy = [
        (say("before"), [clients[name].before.personal for name in shown]),
        (say("after"), [clients[name].after.personal for name in shown]),
    ]
    bytes_title = say("Predicted beside measured: MB a step")
    accuracy_title = say("Personal accuracy before and after")
    remarks = list(map(say, made.notes))
    if plan is not None:
        seconds_planned = max((e.steps * e.predicted.step_seconds for e in plan.clients), default=0)
        remarks.append(
            say("planned until the slowest is done: {}; on the fleet's clock: {}").format(
                seconds(seconds_planned).text, seconds(made.fleet_seconds).text
            )
        )
    return Section(
        title=say("Run: {} on {}").format(made.model, made.data),
        verdicts=(say(JOINT).join(parts),),
        good=after > before,
        tables=(
            Table(
                say("Predicted beside measured"),
                titles(
                    say,
                    *("client", "depth", "steps", "lost steps", "bytes a step, predicted"),
                    *("bytes a step, measured", "difference", "personal before"),
                    *("personal after", "global after"),
                ),
                tuple(
                    row(
                        name,
                        float(one.depth),
                        float(one.steps),
                        float(one.steps_planned - one.steps),
                        size(moved[name][0]),
                        size(moved[name][1]),
                        Cell(_difference(*moved[name]), _ratio(*moved[name])),
                        share(one.before.personal),
                        share(one.after.personal),
                        share(one.after.overall),
                    )
                    for name, one in clients.items()
                ),
            ),
        ),
        charts=(
            Chart(bytes_title, grouped(shown, series, "MB"), bytes_title),
            Chart(accuracy_title, grouped(shown, accuracy, ""), accuracy_title),
        ),
        remarks=tuple(remarks),
    )


def _ratio(predicted: float, measured: float) -> float:
    return measured / predicted - 1 if predicted else 0.0


def _difference(predicted: float, measured: float) -> str:
    return f"{_ratio(predicted, measured):+.1%}"


def comparison_section(made: Comparison, say: Say) -> Section:
    best = max(made.rows, key=lambda one: one.personal.mean)
    series = [
        (say("personal"), [one.personal.mean for one in made.rows]),
        (say("global"), [one.overall.mean for one in made.rows]),
    ]
    title = say("Accuracy of each algorithm")
    return Section(
        title=say("Algorithms side by side"),
        verdicts=(
            say("best personal accuracy: {}, {}").format(best.label, f"{best.personal.mean:.1%}"),
        ),
        tables=(
            Table(
                say("Algorithms"),
                titles(
                    say,
                    *("algorithm", "personal", "worst", "global", "bytes of a client"),
                    *("peak memory", "devices too small", "time of the fleet"),
                ),
                tuple(
                    row(
                        one.label,
                        _percent(one.personal),
                        _percent(one.worst),
                        _percent(one.overall),
                        size(one.client_bytes.mean),
                        size(one.peak_memory_bytes.mean),
                        float(one.misfits),
                        seconds(one.seconds.mean),
                    )
                    for one in made.rows
                ),
            ),
        ),
        charts=(Chart(title, grouped([one.label for one in made.rows], series, ""), title),),
    )


def _percent(found: Estimate) -> Cell:
    width = "" if found.half_width is None else f" ± {100 * found.half_width:.1f}"
    return Cell(f"{100 * found.mean:.1f}{width} %", found.mean)


def pilot_section(made: Pilot, say: Say) -> Section:
    outcome = made.outcome
    first, *others = map(say, outcome.reasons)
    stand = say("{} of {} devices stand for the fleet")
    return Section(
        title=say("Pilot: {}").format(made.fleet),
        verdicts=(
            f"{say(outcome.decision)}: {first}",
            *others,
            stand.format(len(made.members), f"{made.devices:,}"),
        ),
        good={"go": True, "no-go": False}.get(outcome.decision),
        tables=(
            Table(
                say("Devices of the pilot"),
                titles(
                    say,
                    *("device", "type", "link", "stands for", "of the fleet", "depth"),
                    "training time",
                ),
                tuple(
                    row(
                        *(one.name, one.device, one.link, ", ".join(map(say, one.stands_for))),
                        *(float(one.devices), float(one.depth), seconds(3600 * one.hours)),
                    )
                    for one in made.members
                ),
            ),
            Table(
                say("What to measure"),
                titles(
                    say,
                    *("figure", "what", "unit", "expected", "go to", "stop at", "why there"),
                    *("measured", "verdict"),
                ),
                tuple(
                    row(
                        *(one.id, say(one.what), one.unit, one.expected, one.go, one.stop),
                        *(say(one.because), one.measured, say(one.verdict)),
                    )
                    for one in made.checks
                ),
            ),
        ),
        remarks=(
            say("at least {} days of {} h and {} steps a device").format(
                made.least_days, number(made.hours_per_day), made.least_steps
            ),
        ),
        assumptions=tuple(map(say, made.assumptions)),
    )
