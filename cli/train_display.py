"""What `flexp train` shows: progress while it runs, and the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..runtime.records import StepRecord, Summary
    from ..runtime.statistics import DataStatistics

PLAIN_EVERY = 40
"""Steps between two lines where there is no terminal."""


class View:
    """Progress bars on a terminal, a line now and then elsewhere, nothing when quiet."""

    def __init__(self, progress: Progress | None, quiet: bool) -> None:
        self.progress, self.quiet = progress, quiet
        self.tasks: dict[str, TaskID] = {}
        self.losses: dict[str, float] = {}

    def fetch(self, what: str, done_bytes: int, total_bytes: int) -> None:
        self._update(what, done_bytes, total_bytes, "")

    def described(self, statistics: dict[str, DataStatistics]) -> None:
        from .data_display import data_table

        if not self.quiet:
            to = self.progress.console if self.progress else render.console(stderr=True)
            to.print(data_table(statistics))

    def evaluated(self, when: str, done: int, total: int) -> None:
        self._update(f"accuracy {when} training", done, total, "clients")
        if done == total:
            self._line(f"measured accuracy {when} training")

    def stepped(self, record: StepRecord, total: int) -> None:
        self.losses[record.client] = record.loss
        mean = sum(self.losses.values()) / len(self.losses)
        detail = f"{record.client} step {record.client_step + 1}, loss {mean:.3f}"
        self._update("training", record.step + 1, total, detail)
        if (record.step + 1) % PLAIN_EVERY == 0 or record.step + 1 == total:
            self._line(f"step {record.step + 1} of {total}: mean loss {mean:.3f}")

    def _update(self, what: str, done: int, total: int, detail: str) -> None:
        if self.progress is None:
            return
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total, detail="")
        self.progress.update(self.tasks[what], completed=done, total=total, detail=detail)

    def _line(self, text: str) -> None:
        if self.progress is None and not self.quiet:
            render.note(text)


@contextmanager
def display(quiet: bool) -> Iterator[View]:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    to = render.console(stderr=True)
    if quiet or not to.is_terminal:
        yield View(None, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[detail]}"),
    )
    with Progress(*columns, console=to) as progress:
        yield View(progress, quiet)


def show_summary(summary: Summary, folder: Path) -> None:
    from ..catalog.units import format_bytes, format_seconds

    table = render.table(
        "client",
        ">depth",
        ">personal",
        ">global",
        ">loss",
        ">up, down MB",
        ">of plan",
        title=f"{summary.model} on {summary.data}, {summary.steps} steps a client",
        caption=(
            "Before > after training. Accuracy in %: personal on the client's own test\n"
            "rows, global on everyone's. Of plan: measured bytes by planned ones, which\n"
            "assume full-length texts."
        ),
    )
    for name, client in summary.clients.items():
        measured = client.up_bytes_per_step.measured + client.down_bytes_per_step.measured
        planned = client.up_bytes_per_step.predicted + client.down_bytes_per_step.predicted
        table.add_row(
            name,
            str(client.depth),
            _change(client.before.personal, client.after.personal),
            _change(client.before.overall, client.after.overall),
            f"{client.first_loss:.2f} > {client.last_loss:.2f}",
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
    for line in (
        f"this machine    {format_seconds(summary.wall_seconds)}, peak memory "
        f"{format_bytes(summary.peak_memory_bytes)} for the server and all clients",
        f"planned fleet   {format_seconds(summary.fleet_seconds)} until the slowest client "
        "is done, without queueing",
        f"adapters        {folder / 'clients'}/*: PEFT adapter and head of each client",
        f"figures         {folder / 'summary.json'}, {folder / 'metrics.jsonl'}",
    ):
        to.print(line, soft_wrap=True)


def _change(before: float, after: float) -> str:
    return f"{100 * before:.0f} > [bold]{100 * after:.0f}[/]"
