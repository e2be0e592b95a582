"""The picture of `flexp runs --plot`: loss and accuracy over steps. Needs the extra [report]."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..runtime.records import StepRecord, Summary

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito, which people with any colour vision tell apart."""
LINES = ("-", "--", ":", "-.")
"""Runs beyond the colors repeat them with another line."""
WINDOWS = 20
"""Points of a curve of loss: each is the mean over one part of the steps."""
MOST_MARKERS = 30
"""Points of a curve up to which each is marked."""
MOST_CLIENTS = 40
"""Clients of a single run that get a thin line each."""

Points = list[tuple[float, float]]
"""(round, value)."""


@dataclass(frozen=True)
class Curves:
    """One run as it is drawn."""

    name: str
    loss: dict[str, Points]
    """By client, smoothed."""
    accuracy: dict[str, Points]
    """Personal, by client, in %."""


def draw(folders: Sequence[Path], suffix: str) -> bytes:
    """A PNG or SVG file, by `suffix`: loss on the left and personal accuracy on the right, against
    rounds, which are steps at the profile's batch. A single run shows its clients too."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    runs = [read_curves(folder) for folder in folders]
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "flexp", "font.size": 10, "axes.titlesize": 11}):
        figure = Figure(figsize=(11, 4.8), layout=ConstrainedLayoutEngine(wspace=0.06))
        left, right = figure.subplots(1, 2, sharex=True)
        _draw(left, "Training loss", [(run.name, run.loss) for run in runs])
        _draw(right, "Personal accuracy, %", [(run.name, run.accuracy) for run in runs])
        right.set_ylim(0, 103)
        left.set_xlim(left=0)
        if len(runs) == 1:
            figure.suptitle(f"{runs[0].name}: mean over the clients, and each of them (thin)")
        else:
            figure.suptitle("Mean over the clients of each run")
            handles, names = _legend(left, right)
            figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        dated = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(file, format=suffix.removeprefix("."), dpi=150, metadata=dated)
    return file.getvalue()


def _draw(axes: Axes, title: str, runs: Sequence[tuple[str, dict[str, Points]]]) -> None:
    """The mean curve of every run; of a single run its clients' too."""
    axes.set_title(title)
    axes.set_xlabel("round")
    axes.spines[["top", "right"]].set_visible(False)
    for number, (name, clients) in enumerate(runs):
        if len(runs) == 1:
            for points in list(clients.values())[:MOST_CLIENTS]:
                axes.plot(*zip(*points, strict=True), color="#999999", linewidth=0.8)
        mean = mean_curve(list(clients.values()))
        if mean:
            axes.plot(
                *zip(*mean, strict=True),
                color=COLORS[number % len(COLORS)],
                linestyle=LINES[number // len(COLORS) % len(LINES)],
                linewidth=2,
                marker="o" if len(mean) <= MOST_MARKERS else None,
                markersize=4,
                label=name,
            )
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured yet", transform=axes.transAxes, ha="center")


def _legend(*axes: Axes) -> tuple[list[Any], list[str]]:
    """Every run once, whichever picture it is in."""
    found: dict[str, Any] = {}
    for one in axes:
        handles, names = one.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    return list(found.values()), list(found)


def read_curves(folder: Path) -> Curves:
    from ..catalog.files import read_contract
    from ..planner.plan import read_plan
    from ..runtime.records import Summary, TrainSettings
    from ..runtime.run_folder import PLAN, SETTINGS, SUMMARY
    from ..runtime.runs import records_of
    from ..runtime.schedule import steps_of

    rounds = read_contract(TrainSettings, folder / SETTINGS).steps
    steps = steps_of(read_plan(folder / PLAN), rounds)
    path = folder / SUMMARY
    summary = read_contract(Summary, path) if path.exists() else None
    shares = {client: rounds / own for client, own in steps.items()}
    return curves(str(folder), records_of(folder), summary, shares)


def curves(
    name: str,
    records: Sequence[StepRecord],
    summary: Summary | None,
    shares: Mapping[str, float],
) -> Curves:
    """`shares` are the rounds that a step of each client makes."""
    losses: dict[str, Points] = {}
    accuracies: dict[str, Points] = {}
    for record in records:
        done = (record.client_step + 1) * shares[record.client]
        if record.loss is not None:
            losses.setdefault(record.client, []).append((done, record.loss))
        if record.accuracy is not None:
            accuracies.setdefault(record.client, []).append((done, 100 * record.accuracy))
    for client, result in summary.clients.items() if summary else ():
        last = max(1, result.steps + result.skipped_steps) * shares[client]
        between = [point for point in accuracies.get(client, []) if point[0] < last]
        accuracies[client] = [
            (0, 100 * result.before.personal),
            *between,
            (last, 100 * result.after.personal),
        ]
    return Curves(name, {client: smooth(own) for client, own in losses.items()}, accuracies)


def smooth(points: Points) -> Points:
    """Means over WINDOWS windows, each at its window's middle: 40 points become 20, of 2 each."""
    size = -(-len(points) // WINDOWS)
    windows = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in own), fmean(y for _, y in own)) for own in windows]


def mean_curve(clients: Sequence[Points]) -> Points:
    """The clients' mean at every point of one of them, as far as all have come; between a client's
    points its curve is straight."""
    if not clients:
        return []
    low = max(points[0][0] for points in clients)
    high = min(points[-1][0] for points in clients)
    places = sorted({x for points in clients for x, _ in points if low <= x <= high})
    return [(x, fmean(_value(points, x) for points in clients)) for x in places]


def _value(points: Points, x: float) -> float:
    for (left, below), (right, above) in pairwise(points):
        if left <= x <= right:
            share = (x - left) / (right - left) if right > left else 0.0
            return below + share * (above - below)
    return points[0][1]
