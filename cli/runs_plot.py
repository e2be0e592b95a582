"""The picture of `flexp runs --plot`: loss and accuracy over steps. Needs the extra [report]."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..runtime.records import StepRecord, Summary

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito, which people with any colour vision tell apart."""
LINES = ("-", "--", ":", "-.")
"""Runs beyond the colors repeat them with another line."""
SMOOTHING = 10
"""A curve of loss is a mean over this share of the steps: a tenth of them, and so on."""
MOST_CLIENTS = 40
"""Clients of a single run that get a thin line each."""

Points = list[tuple[float, float]]
"""(step, value)."""


@dataclass(frozen=True)
class Curves:
    """One run as it is drawn."""

    name: str
    loss: dict[str, Points]
    """By client, smoothed."""
    accuracy: dict[str, Points]
    """Personal, by client."""


def draw(folders: Sequence[Path], suffix: str) -> bytes:
    """A PNG or SVG file, by `suffix`: loss on the left and personal accuracy on the right, against
    each client's own steps. A single run shows its clients, several show their means."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    runs = [read_curves(folder) for folder in folders]
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "flexp", "font.size": 10, "axes.titlesize": 11}):
        figure = Figure(figsize=(11, 4.8), layout=ConstrainedLayoutEngine(wspace=0.06))
        left, right = figure.subplots(1, 2)
        single = len(runs) == 1
        who = "clients (thin) and their mean" if single else "mean over the clients"
        for axes, what in ((left, "loss"), (right, "accuracy")):
            _draw(axes, runs, what)
            axes.set_xlabel("step of the client")
            axes.spines[["top", "right"]].set_visible(False)
        left.set_title(f"Training loss, {who}")
        right.set_title(f"Accuracy on the clients' own test rows, {who}")
        right.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}%")
        if single:
            figure.suptitle(runs[0].name, fontsize=12)
        else:
            handles, names = left.get_legend_handles_labels()
            figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        dated = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(file, format=suffix.removeprefix("."), dpi=150, metadata=dated)
    return file.getvalue()


def _draw(axes: Axes, runs: Sequence[Curves], what: str) -> None:
    """The curves of every run; a point for a client that has only one."""
    drawn = False
    for number, run in enumerate(runs):
        color = COLORS[number % len(COLORS)]
        line = LINES[number // len(COLORS) % len(LINES)]
        clients: dict[str, Points] = getattr(run, what)
        if len(runs) == 1:
            for points in list(clients.values())[:MOST_CLIENTS]:
                axes.plot(*zip(*points, strict=True), color=color, linewidth=0.8, alpha=0.35)
        mean = mean_curve(list(clients.values()))
        if mean:
            drawn = True
            marker = "o" if len(mean) <= 12 else None
            axes.plot(
                *zip(*mean, strict=True),
                color=color,
                linestyle=line,
                linewidth=2,
                marker=marker,
                markersize=4,
                label=run.name,
            )
    if not drawn:
        axes.text(0.5, 0.5, f"no {what} yet", transform=axes.transAxes, ha="center", va="center")
    axes.set_xlim(left=0)


def read_curves(folder: Path) -> Curves:
    from ..catalog.files import read_contract
    from ..runtime.records import Summary
    from ..runtime.run_folder import SUMMARY
    from ..runtime.runs import records_of

    path = folder / SUMMARY
    summary = read_contract(Summary, path) if path.exists() else None
    return curves(str(folder), records_of(folder), summary)


def curves(name: str, records: Sequence[StepRecord], summary: Summary | None) -> Curves:
    losses: dict[str, Points] = {}
    accuracies: dict[str, Points] = {}
    for record in records:
        done = record.client_step + 1
        if record.loss is not None:
            losses.setdefault(record.client, []).append((done, record.loss))
        if record.accuracy is not None:
            accuracies.setdefault(record.client, []).append((done, record.accuracy))
    for client, result in summary.clients.items() if summary else ():
        between = accuracies.get(client, [])
        last = result.steps_planned if result.stopped is None else max(1, result.steps)
        accuracies[client] = [
            (0, result.before.personal),
            *(point for point in between if point[0] < last),
            (last, result.after.personal),
        ]
    return Curves(name, {client: smooth(own) for client, own in losses.items()}, accuracies)


def smooth(points: Points) -> Points:
    """Means over windows of a tenth of the points, each at its window's middle:
    20 points become 10 of 2 each."""
    size = max(1, len(points) // SMOOTHING)
    windows = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in own), fmean(y for _, y in own)) for own in windows]


def mean_curve(clients: Sequence[Points]) -> Points:
    """The clients' mean at every step where all have a point; of the clients that have come as far
    where some have stopped before."""
    values: dict[float, list[float]] = {}
    for points in clients:
        for step, value in points:
            values.setdefault(step, []).append(value)
    most = max((len(own) for own in values.values()), default=0)
    return [(step, fmean(own)) for step, own in sorted(values.items()) if len(own) == most]
