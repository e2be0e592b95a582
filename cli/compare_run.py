"""The work of `flexp compare` and `flexp tune`: the cells that are missing, with progress."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FieldError
from . import render
from . import study_options as study

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..errors import StepError
    from ..runtime.comparison.cell import Cell, CellResult


class Watch:
    """Cells as they come: a bar on a terminal, a line for each cell elsewhere."""

    def __init__(self, total: int, there: int) -> None:
        self.total, self.there = total, there
        self.finished = there
        self.begun = time.monotonic()
        self.shares: dict[str, float] = {}
        """Of the cells that are under way."""
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        to = render.console(stderr=True)
        if not to.is_terminal:
            yield
            return
        columns = (
            TextColumn("cells"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Bar(*columns, console=to) as bar:
            self.bar, self.task = bar, bar.add_task("", total=self.total, left="")
            self._update()
            yield

    def stepped(self, cell: Cell, done: int, total: int) -> None:
        self.shares[cell.key] = done / total
        self._update()

    def ended(self, cell: Cell, result: CellResult) -> None:
        self.shares.pop(cell.key, None)
        self.finished += 1
        text = (
            f"{self.finished}/{self.total} {cell.label}, seed {cell.seed}: personal "
            f"{100 * result.personal:.1f}, global {100 * result.overall:.1f}{self.left()}"
        )
        if self.bar is None:
            render.note(text)
        else:
            self.bar.console.print(text, style="dim", markup=False)
        self._update()

    def left(self) -> str:
        """The time left at the pace so far, as text."""
        done = self.finished - self.there + sum(self.shares.values())
        missing = self.total - self.there - done
        if done <= 0 or missing <= 0:
            return ""
        seconds = (time.monotonic() - self.begun) / done * missing
        from ..catalog.units import format_seconds

        return f"; about {format_seconds(seconds)} left"

    def _update(self) -> None:
        if self.bar is not None and self.task is not None:
            done = int(self.finished + sum(self.shares.values()))
            left = self.left().removeprefix("; ")
            self.bar.update(self.task, completed=done, left=left)


def complete(
    cells: Sequence[Cell], folder: Path, jobs: int, *, go_on: bool = False
) -> dict[str, CellResult]:
    """The result of every cell, by key; those that are in `folder` are taken from there. A cell
    whose numbers stop being finite ends it all, or with `go_on` is left out."""
    from ..catalog.progress import no_progress
    from ..runtime.comparison.study import DataSets, gather, run_here
    from ..runtime.comparison.worker import run_beside

    found = gather(cells, folder)
    missing = [cell for cell in cells if cell.key not in found]
    watch = Watch(len(cells), len(found))
    if found and missing:
        render.note(f"{len(found)} of {len(cells)} cells are in {folder} already")

    def ended(cell: Cell, result: CellResult) -> None:
        found[cell.key] = result
        watch.ended(cell, result)

    def failed(cell: Cell, error: StepError) -> None:
        if not go_on:
            raise error
        render.note(error.message)

    try:
        with watch.showing():
            if jobs == 1:
                run_here(missing, folder, DataSets(no_progress), watch.stepped, ended, failed)
            elif missing:
                run_beside(missing, folder, jobs, watch.stepped, ended, failed)
    except KeyboardInterrupt:
        render.note(f"{len(found)} of {len(cells)} cells are done; the same command goes on")
        raise
    return found


def depth_cells(
    ground: study.Ground,
    algorithm: str,
    depths: Sequence[int],
    seeds: int,
    chosen: dict[str, object],
    more: dict[str, object],
) -> list[Cell]:
    """`algorithm`, a kind of flexp-sfl, with all clients at one depth, for each depth and seed.

    Raises FieldError for one that has no depths of its own.
    """
    from ..runtime.algorithms.registry import FLEXP
    from ..runtime.comparison.study import with_depth

    if algorithm.split("/")[0] != FLEXP:
        raise FieldError(
            f"--depths: {algorithm} has no depths to choose from",
            f"name {FLEXP} first, as in --algorithms {FLEXP}/prior",
        )
    return [
        study.cell_of(
            ground, algorithm, seed, chosen, **more, members=with_depth(ground.members, depth)
        )
        for seed in range(seeds)
        for depth in depths
    ]


def write_curve(
    cells: Sequence[Cell],
    results: dict[str, CellResult],
    ground: study.Ground,
    path: Path,
    as_json: bool,
) -> None:
    """The mean personal accuracy at each depth, as a file for `flexp plan --value`."""
    from ..planner.value import ValueCurve, ValuePoint
    from ..runtime.comparison.intervals import estimate

    by_depth: dict[int, list[float]] = {}
    for cell in cells:
        depth = next(iter(cell.members.values())).depth
        by_depth.setdefault(depth, []).append(results[cell.key].personal)
    found = {depth: estimate(values) for depth, values in sorted(by_depth.items())}
    curve = ValueCurve(
        source=f"flexp compare --depths: {ground.profile.model} on {ground.data.name}, "
        f"{len(ground.members)} clients, {ground.data.partition or 'as the data say'}, "
        f"{ground.steps} steps, {len(next(iter(by_depth.values())))} seeds, {cells[0].label}: mean "
        "personal accuracy",
        points=tuple(
            ValuePoint(depth_share=depth / ground.profile.blocks, value=value.mean)
            for depth, value in found.items()
            if value is not None
        ),
    )
    render.write_output(curve, path)
    if as_json:
        render.print_json(curve)
        return
    from .compare_display import interval

    table = render.table("depth", ">personal accuracy, %", title="all clients at one depth")
    for depth, value in found.items():
        table.add_row(f"{depth} of {ground.profile.blocks}", interval(value, 100))
    render.console().print(table)
