"""Where each client of a run stands, for the live table and for plain lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..runtime.observer import Start
    from ..runtime.records import StepRecord

SMOOTHING = 0.2
"""Weight of the newest loss in the one that is shown."""


@dataclass
class Standing:
    """One client."""

    depth: int
    steps: int
    """To be taken."""
    step: int
    """Steps behind it."""
    loss: float | None = None
    """Smoothed over the last steps."""
    up_bytes: int = 0
    down_bytes: int = 0
    waiting_seconds: float = 0.0
    skipped: int = 0
    stopped: bool = False

    def add(self, record: StepRecord) -> None:
        self.step = record.client_step + 1
        self.up_bytes += record.up_bytes
        self.down_bytes += record.down_bytes
        self.waiting_seconds += record.waiting_seconds
        self.skipped += record.problem is not None
        if record.loss is not None:
            before = record.loss if self.loss is None else self.loss
            self.loss = before + SMOOTHING * (record.loss - before)


@dataclass
class Board:
    """All clients, in the plan's order, since the run began."""

    blocks: int = 1
    bad_numbers_stop: bool = True
    clients: dict[str, Standing] = field(default_factory=dict)

    def begin(self, start: Start) -> None:
        self.blocks = start.plan.blocks
        self.bad_numbers_stop = start.settings.on_bad_numbers == "stop-client"
        self.clients = {
            entry.name: Standing(
                depth=entry.depth,
                steps=start.clients[entry.name].steps,
                step=start.clients[entry.name].next_step,
                stopped=start.clients[entry.name].stopped is not None,
            )
            for entry in start.plan.clients
        }
        for record in start.earlier:
            self.clients[record.client].add(record)

    def add(self, record: StepRecord) -> None:
        one = self.clients[record.client]
        one.add(record)
        one.stopped = record.problem is not None and self.bad_numbers_stop

    def line(self, client: str) -> str:
        """As in "ada: step 12 of 40, depth 2, loss 1.234, ↑3.4 ↓3.4 MB, waited 0.3 s"."""
        one = self.clients[client]
        loss = "no loss" if one.loss is None else f"loss {one.loss:.3f}"
        return (
            f"{client}: step {one.step} of {one.steps}, depth {one.depth}, {loss}, "
            f"↑{one.up_bytes / 1e6:.1f} ↓{one.down_bytes / 1e6:.1f} MB, "
            f"waited {one.waiting_seconds:.1f} s{_remark(one)}"
        )

    def table(self, rows: int) -> Table:
        """The first `rows` clients, and a line for the others."""
        from rich.markup import escape

        made = render.table(
            "client", "depth", ">step", ">loss", ">up, down MB", ">waited s", "", title=""
        )
        for name, one in list(self.clients.items())[:rows]:
            made.add_row(
                escape(name),
                render.depth_bar(one.depth, self.blocks),
                f"{one.step}/{one.steps}",
                "" if one.loss is None else f"{one.loss:.3f}",
                f"{one.up_bytes / 1e6:.1f}, {one.down_bytes / 1e6:.1f}",
                f"{one.waiting_seconds:.1f}",
                _remark(one).removeprefix(", "),
                style="dim" if one.stopped or one.step == one.steps else None,
            )
        hidden = list(self.clients.values())[rows:]
        if hidden:
            steps = [one.step for one in hidden]
            made.add_row(f"and {len(hidden)} more", "", f"{min(steps)} to {max(steps)}")
        return made


def _remark(one: Standing) -> str:
    if one.stopped:
        return ", stopped"
    return f", {one.skipped} skipped" if one.skipped else ""
