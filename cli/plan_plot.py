"""The picture of `flexp plan --plot`: who trains which part of the model. Needs [report]."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .plan_display import SHOWN, seconds
from .plan_rows import Row, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..planner.plan import ClientPlan, Plan

# The palette of Okabe and Ito, which people with any colour vision tell apart.
DEVICE, SERVER, SHELL = "#0072B2", "#D55E00", "#56B4E9"
LEGEND = (
    ("embedding and head on the device", SHELL),
    ("blocks on the device", DEVICE),
    ("on the server", SERVER),
)
GAP = 0.08


def bars(made: Plan) -> list[Row]:
    """Clients, or where there are many the placements of each class, the largest first."""
    if made.devices <= SHOWN:
        return rows(made, "client")
    found = []
    for row in rows(made, "class"):
        placements: dict[object, list[ClientPlan]] = {}
        for entry in row.entries:
            placements.setdefault(entry.placement, []).append(entry)
        parts = [
            Row(row.name, sum(e.count for e in same), tuple(same)) for same in placements.values()
        ]
        found += sorted(parts, key=lambda part: -part.count)
    return found


def parts(entry: ClientPlan, blocks: int) -> Iterator[tuple[float, str]]:
    """(left edge, colour) of each unit: embedding, blocks, head."""
    yield 0, SHELL
    for block in range(blocks):
        here = block < entry.depth or block >= blocks - entry.top
        yield block + 1, DEVICE if here else SERVER
    yield blocks + 1, SHELL if entry.head == "device" else SERVER


def draw(made: Plan, suffix: str) -> bytes:
    """A PNG or SVG file, by `suffix`: a bar of units for each client or placement of a class."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    file, found = io.BytesIO(), bars(made)
    shown = found[:SHOWN]
    with rc_context({"svg.hashsalt": "flexp", "font.size": 10, "axes.titlesize": 11}):
        figure = Figure(figsize=(11, 1.9 + 0.36 * len(shown)), layout="constrained")
        _draw_bars(figure.subplots(), made, shown)
        left = f"; {len(found) - len(shown)} more bars left out" if len(found) > len(shown) else ""
        figure.suptitle(f"{made.model} on {made.fleet}: who trains what{left}", fontsize=12)
        dated = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(file, format=suffix.removeprefix("."), dpi=150, metadata=dated)
    return file.getvalue()


def _draw_bars(axes: Axes, made: Plan, shown: list[Row]) -> None:
    from matplotlib.patches import Patch

    units = made.blocks + 2
    gap = GAP if made.blocks <= 48 else 0
    for height, row in enumerate(shown):
        lefts, colors = zip(*parts(row.first, made.blocks), strict=True)
        axes.barh([height] * units, [1 - gap] * units, 0.75, lefts, color=colors, align="center")
        text = f"{seconds(row.mean('step_seconds'))} s a step"
        axes.text(units + 0.1, height, text, verticalalignment="center")
    axes.set_yticks(
        range(len(shown)),
        [row.name + (f" × {row.count:,}" if row.count > 1 else "") for row in shown],
    )
    every = max(1, made.blocks // 12)
    blocks = list(range(1, made.blocks + 1, every))
    ticks = [0.5, *(block + 0.5 for block in blocks), made.blocks + 1.5]
    axes.set_xticks(ticks, ["emb.", *map(str, blocks), "head"])
    axes.set_xlim(0, units)
    axes.set_ylim(len(shown) - 0.5, -0.6)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.legend(
        handles=[Patch(color=color, label=label) for label, color in LEGEND],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
    )
