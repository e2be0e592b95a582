"""The picture of `flexp compare --plot`. Needs the extra [report]."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .runs_plot import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..runtime.comparison.cell import CellResult
    from ..runtime.comparison.table import Row, Table

Points = list[tuple[float, float]]
"""(seconds, accuracy)."""


def draw(table: Table, results: Sequence[CellResult], suffix: str) -> bytes:
    """A PNG or SVG file, by `suffix`: personal and global accuracy with 95% intervals on the left,
    personal accuracy against the fleet's clock on the right."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "flexp", "font.size": 10, "axes.titlesize": 11}):
        figure = Figure(figsize=(11, 1.6 + 0.42 * len(table.rows) + 1.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_accuracy(left, table.rows)
        _draw_courses(right, table, results)
        dated = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(file, format=suffix.removeprefix("."), dpi=150, metadata=dated)
    return file.getvalue()


def _draw_accuracy(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_title("Accuracy, %, mean and 95% interval over seeds")
    places = [len(rows) - number for number in range(len(rows))]
    for shift, name, field, marker in (
        (0.12, "personal", "personal", "o"),
        (-0.12, "global", "overall", "s"),
    ):
        estimates = [getattr(row, field) for row in rows]
        axes.errorbar(
            [100 * estimate.mean for estimate in estimates],
            [place + shift for place in places],
            xerr=[100 * (estimate.half_width or 0.0) for estimate in estimates],
            fmt=marker,
            markersize=5,
            capsize=3,
            color=COLORS[0] if field == "personal" else COLORS[1],
            label=name,
        )
    axes.set_yticks(places, [row.label for row in rows])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _draw_courses(axes: Axes, table: Table, results: Sequence[CellResult]) -> None:
    axes.set_title("Personal accuracy, %, seed by seed")
    axes.set_xlabel("seconds on the fleet's clock")
    axes.set_xscale("log")
    for number, row in enumerate(table.rows):
        color = COLORS[number % len(COLORS)]
        for result in results:
            if result.label == row.label:
                points = course(result)
                axes.plot(*zip(*points, strict=True), color=color, linewidth=0.9, alpha=0.8)
        axes.plot([], [], color=color, label=row.label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def course(result: CellResult) -> Points:
    """The mean over the clients of their last measured accuracy, after the first step of all."""
    latest: dict[str, float] = {}
    points: Points = []
    for point in result.curve:
        latest[point.client] = point.accuracy
        if len(latest) == len(result.clients) and point.seconds > 0:
            points.append((point.seconds, 100 * sum(latest.values()) / len(latest)))
    return points
