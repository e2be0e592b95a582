"""The result of `flexp train` on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from ..runtime.records import ClientSummary, Summary

LEGEND = """\
Before > after training. Accuracy in %: personal on the client's own test rows,
global on everyone's. Of plan: measured bytes by planned ones, which assume
full-length texts."""


def show_summary(summary: Summary, folder: Path) -> None:
    table = render.table(
        "client",
        ">depth",
        ">personal",
        ">global",
        ">loss",
        ">up, down MB",
        ">of plan",
        title=f"{summary.model} on {summary.data}, {summary.steps} rounds",
    )
    for name, client in summary.clients.items():
        measured = client.up_bytes_per_step.measured + client.down_bytes_per_step.measured
        planned = client.up_bytes_per_step.predicted + client.down_bytes_per_step.predicted
        table.add_row(
            name,
            str(client.depth),
            _change(client.before.personal, client.after.personal),
            _change(client.before.overall, client.after.overall),
            f"{_loss(client.first_loss)} > {_loss(client.last_loss)}",
            f"{client.up_bytes / 1e6:.1f}, {client.down_bytes / 1e6:.1f}",
            f"{measured / planned:.0%}",
        )
    table.add_section()
    table.add_row(
        "mean",
        "",
        _change(summary.mean("before", "personal"), summary.mean("after", "personal")),
        _change(summary.mean("before", "overall"), summary.mean("after", "overall")),
    )
    to = render.console()
    to.print(table)
    to.print(LEGEND, style="dim", soft_wrap=True)
    for line in _lines(summary, folder):
        to.print(line, soft_wrap=True, markup=False)


def _lines(summary: Summary, folder: Path) -> Iterator[str]:
    from ..catalog.units import format_bytes, format_seconds

    for name, client in summary.clients.items():
        yield from _troubles(name, client)
    yield (
        f"this machine    {format_seconds(summary.wall_seconds)}, peak memory "
        f"{format_bytes(summary.peak_memory_bytes)} for the server and all clients"
    )
    yield (
        f"planned fleet   {format_seconds(summary.fleet_seconds)} until the slowest client is "
        "done, without queueing"
    )
    yield f"clients         {folder / 'clients'}/*: what each takes away"
    yield f"figures         {folder / 'summary.json'}, {folder / 'metrics.jsonl'}"
    first = next(iter(summary.clients))
    if summary.task == "classification":
        yield f"try it          flexp predict {folder} {first} --text 'some words'"
    elif summary.task == "causal-lm":
        yield f"try it          flexp export {folder} {first} -o model"


def _troubles(name: str, client: ClientSummary) -> Iterator[str]:
    steps = client.steps_planned
    if client.stopped is not None:
        yield f"stopped         {client.stopped}; {client.steps} of {steps} steps were taken"
    elif client.skipped_steps:
        yield f"skipped         {client.skipped_steps} of {steps} steps of {name}: bad numbers"


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _change(before: float, after: float) -> str:
    return f"{100 * before:.0f} > [bold]{100 * after:.0f}[/]"
