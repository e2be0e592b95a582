"""What `flexp train` shows while it runs: a live table of the clients, or plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import render
from .train_board import Board

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.progress import Progress, TaskID

    from ..runtime.observer import Start
    from ..runtime.records import StepRecord

PLAIN_LINES = 10
"""Lines of each client where there is no terminal; for many clients fewer."""
MANY = 20
OTHER_LINES = 8
"""Lines of the terminal that the live table leaves free."""


class View:
    """A live table on a terminal, a line now and then elsewhere, nothing when quiet."""

    def __init__(self, to: Console, live: Live | None, progress: Progress, quiet: bool) -> None:
        self.to, self.live, self.progress, self.quiet = to, live, progress, quiet
        self.tasks: dict[str, TaskID] = {}
        self.board = Board()
        self.training = False

    def fetch(self, what: str, done_bytes: int, total_bytes: int) -> None:
        self._update(what, done_bytes, total_bytes)

    def begun(self, start: Start) -> None:
        from .data_display import show_data

        self.board.begin(start)
        if not self.quiet:
            show_data(self.to, start.statistics)

    def evaluated(self, when: str, done: int, total: int) -> None:
        self._update(f"accuracy {when} training", done, total)
        if done == total:
            self._line(f"measured accuracy {when} training")

    def stepped(self, record: StepRecord, total: int) -> None:
        self.training = True
        self.board.add(record)
        self._update("training", record.step + 1, total)
        clients, steps = len(self.board.clients), self.board.clients[record.client].steps
        lines = PLAIN_LINES if clients <= MANY else max(1, PLAIN_LINES * MANY // clients)
        done = record.client_step + 1
        if done * lines // steps > (done - 1) * lines // steps:
            self._line(self.board.line(record.client))

    def _update(self, what: str, done: int, total: int) -> None:
        if self.live is None:
            return
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self.tasks[what], completed=done, total=total)

    def _line(self, text: str) -> None:
        if self.live is None and not self.quiet:
            render.note(text)

    def __rich__(self) -> RenderableType:
        from rich.console import Group

        if not self.training:
            return self.progress
        return Group(self.board.table(max(1, self.to.height - OTHER_LINES)), self.progress)


@contextmanager
def display(quiet: bool) -> Iterator[View]:
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    to = render.console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=to,
    )
    if quiet or not to.is_terminal:
        yield View(to, None, progress, quiet)
        return
    view = View(to, None, progress, quiet)
    with Live(get_renderable=view.__rich__, console=to, refresh_per_second=4) as live:
        view.live = live
        yield view
