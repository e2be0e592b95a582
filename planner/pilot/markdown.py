"""A pilot as a checklist in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog.units import format_seconds
from .checklist import Check, Pilot

MARKS = {"open": " ", "go": "x", "conditional": " ", "stop": " "}


def markdown(pilot: Pilot) -> str:
    return "\n".join(_lines(pilot)) + "\n"


def _lines(pilot: Pilot) -> Iterator[str]:
    outcome = pilot.outcome
    yield f"# Pilot of {pilot.fleet}: {len(pilot.members)} of {pilot.devices:,} devices"
    yield ""
    yield f"**{outcome.decision}**: {'; '.join(outcome.reasons)}"
    yield ""
    yield f"Model {pilot.model}. At least {pilot.least_days} days of {pilot.hours_per_day:g} hours,"
    yield f"and {pilot.least_steps} steps a device; for accuracy, all steps."
    if pilot.binding_links:
        yield f"Links that bind: {', '.join(pilot.binding_links)}."
    yield ""
    yield "## Devices"
    yield ""
    yield "| device | type, link | stands for | of the fleet | trains | for |"
    yield "|---|---|---|---|---|---|"
    for one in pilot.members:
        trains = f"depth {one.depth}, {one.codec}, batch {one.batch}, {one.steps:,} steps"
        yield (
            f"| {one.name} | {one.device}, {one.link} | {', '.join(one.stands_for)} | "
            f"{one.devices:,} | {trains} | {format_seconds(3600 * one.hours)} |"
        )
    yield ""
    yield "## What to measure"
    yield ""
    for check in pilot.checks:
        yield f"- [{MARKS[check.verdict]}] {_check(check)}"
    yield ""
    yield "## What this rests on"
    yield ""
    yield from (f"- {text}" for text in pilot.assumptions)


def _check(check: Check) -> str:
    words = ("up to", "above") if check.better == "less" else ("from", "below")
    unit = f" {check.unit}" if check.unit else ""
    measured = "____" if check.measured is None else f"{check.measured:g}{unit}: {check.verdict}"
    return (
        f"`{check.id}` {check.what}: expected {check.expected:g}{unit}; go {words[0]} "
        f"{check.go:g}{unit}, stop {words[1]} {check.stop:g}{unit} ({check.because}). "
        f"Measured: {measured}"
    )
