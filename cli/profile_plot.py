"""The picture of `flexp profile --plot`: memory and FLOPs by depth. Needs the extra [report]."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from .profile_display import Reading, heading, step_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Part(NamedTuple):
    """One layer of the bars: its label, the field of DepthFigures, its color."""

    label: str
    field: str
    color: str


# The palette of Okabe and Ito, which people with any colour vision tell apart.
MEMORY = (
    Part("process", "process_bytes", "#999999"),
    Part("weights", "weight_bytes", "#0072B2"),
    Part("gradients", "gradient_bytes", "#56B4E9"),
    Part("optimizer", "optimizer_bytes", "#009E73"),
    Part("activations", "activation_bytes", "#E69F00"),
)
FLOPS = (
    Part("device", "device_flops", "#0072B2"),
    Part("server", "server_flops", "#D55E00"),
)
BINARY = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
DECIMAL = ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"))
NEAR = 2.5
"""A limit of up to this many times the largest need is drawn as a line, a farther one said."""
LABEL_LINES = 16
"""Lines of text that fit beside the bars."""
MOST_SEPARATE = 40
"""Bars of more depths touch each other."""


def draw(reading: Reading, suffix: str) -> bytes:
    """A PNG or SVG file, by `suffix`: on the left the device's memory by part, on the right the
    FLOPs of device and server, each against depth."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "flexp", "font.size": 10, "axes.titlesize": 11}):
        figure = Figure(figsize=(11, 4.8), layout=ConstrainedLayoutEngine(wspace=0.06))
        left, right = figure.subplots(1, 2)
        step = step_text(reading.profile, reading.placement.checkpointing)
        figure.suptitle(f"{heading(reading.profile)}\n{step}", fontsize=12)
        _draw_memory(left, reading)
        _draw_flops(right, reading)
        dated = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(file, format=suffix.removeprefix("."), dpi=150, metadata=dated)
    return file.getvalue()


def _draw_memory(axes: Axes, reading: Reading) -> None:
    from ..catalog.units import format_bytes

    device, most_bytes = reading.device, max(row.device_memory_bytes for row in reading.depths)
    unit_bytes, unit = _unit(most_bytes, BINARY)
    near = device is not None and device.usable_memory_bytes <= NEAR * most_bytes
    highest = max(most_bytes, device.usable_memory_bytes) if device and near else most_bytes
    _draw_stack(axes, reading, MEMORY, unit_bytes, highest / unit_bytes)
    title = "Peak memory of the device"
    if device is None:
        title += ", without the process itself"
    else:
        limit = device.usable_memory_bytes / unit_bytes
        text = f"{device.name}: {format_bytes(device.usable_memory_bytes)} usable"
        if near:
            axes.axhline(limit, color="black", linestyle="--", linewidth=1.2)
            axes.annotate(
                text,
                (0.01, limit),
                xycoords=("axes fraction", "data"),
                xytext=(0, 5),
                textcoords="offset points",
                bbox={"boxstyle": "square,pad=0.15", "color": "white", "alpha": 0.85},
            )
        else:
            title += f"\n{text}, beyond this picture"
    axes.set_title(title)
    axes.set_ylabel(unit)


def _draw_flops(axes: Axes, reading: Reading) -> None:
    most_flops = max(row.device_flops + row.server_flops for row in reading.depths)
    unit_flops, unit = _unit(most_flops, DECIMAL)
    _draw_stack(axes, reading, FLOPS, unit_flops, most_flops / unit_flops)
    axes.set_title("FLOPs of device and server, 2 per multiply-add")
    axes.set_ylabel(unit)


def _draw_stack(
    axes: Axes, reading: Reading, parts: Iterable[Part], unit: float, highest: float
) -> None:
    """A bar for each depth, its parts on one another, labelled beside the last bar; `highest`, in
    units, is to be seen."""
    from matplotlib.ticker import MaxNLocator

    depths = reading.depths
    width = 0.8 if len(depths) <= MOST_SEPARATE else 1.0
    edge = depths[-1].depth + width / 2
    tops = [0.0] * len(depths)
    labels = []
    for part in parts:
        heights = [getattr(row, part.field) / unit for row in depths]
        if not any(heights):
            continue
        axes.bar([row.depth for row in depths], heights, width, tops, color=part.color)
        labels.append((part, tops[-1] + heights[-1] / 2))
        tops = [below + height for below, height in zip(tops, heights, strict=True)]
    lines = spread((middle for _, middle in labels), highest / LABEL_LINES)
    for (part, middle), line in zip(labels, lines, strict=True):
        axes.annotate(
            part.label,
            (edge, middle),
            xytext=(edge + 0.06 * len(depths), line),
            arrowprops={
                "arrowstyle": "-",
                "color": part.color,
                "linewidth": 2,
                "relpos": (0, 0.5),
            },
            verticalalignment="center",
            annotation_clip=False,
        )
    top = reading.placement.top
    axes.set_xlim(depths[0].depth - 0.6, edge)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.set_xlabel(
        f"depth, of {reading.profile.blocks} blocks" + (f"; {top} more at the top" if top else "")
    )
    axes.set_ylim(0, 1.1 * highest)
    axes.spines[["top", "right"]].set_visible(False)


def spread(heights: Iterable[float], least: float) -> list[float]:
    """`heights` in rising order, moved up where two are closer than `least`:
    `spread([1, 1.5, 9], 1)` is [1, 2, 9]."""
    return list(accumulate(heights, lambda below, height: max(height, below + least)))


def _unit(most: float, steps: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """The largest step that `most` reaches, or the smallest."""
    return next((step for step in steps if most >= step[0]), steps[-1])
