"""Charts as SVG inside of the page, by matplotlib: text stays text, and lines and letters take the
page's colour, so that they are readable in the light and in the dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .parts import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, which people with any colour vision tell apart, and on white and black alike.
BLUE, ORANGE, GREEN, GREY = "#2f86c1", "#d55e00", "#009e73", "#8a8a8a"
MINUS = "\u2212"
INK = "#010203"
"""Stands for the page's colour of text until the SVG is written."""
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flexp",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def drawing(height: float, width: float = 9.2) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; the SVG is the list's one item afterwards."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    made: list[str] = []
    with rc_context(SETTINGS):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure.subplots(), made
        file = io.StringIO()
        with warnings.catch_warnings():  # the browser has the letters that this font lacks
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    made.append(inline(file.getvalue()))


def _thousands(axes: Axes) -> None:
    """Values along the bottom as people write them: "−12,000"."""
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: number(value).replace("-", MINUS))
    )


def inline(svg: str) -> str:
    """The <svg> element alone, as wide as the page lets it be, in the page's colour."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = element.replace(INK, "currentColor")
    return re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)


def shares(names: Sequence[str], parts: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    """Bars of parts that follow each other: (label, colour, values)."""
    from matplotlib.ticker import MaxNLocator

    with drawing(0.8 + 0.3 * len(names)) as (axes, made):
        left = [0.0] * len(names)
        for label, colour, values in parts:
            axes.barh(names, values, left=left, color=colour, label=label, height=0.7)
            left = [a + b for a, b in zip(left, values, strict=True)]
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.invert_yaxis()
        axes.legend(frameon=False, ncols=len(parts), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return made[0]


def bars(names: Sequence[str], values: Sequence[float], label: str) -> str:
    """One bar each, negative ones in another colour."""
    with drawing(0.7 + 0.3 * len(names)) as (axes, made):
        axes.barh(names, values, color=[BLUE if v >= 0 else ORANGE for v in values], height=0.7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(label)
        _thousands(axes)
        axes.invert_yaxis()
    return made[0]


def grouped(names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], label: str) -> str:
    """Bars side by side for each name."""
    colours, height = (BLUE, ORANGE, GREEN, GREY), 0.8 / len(series)
    with drawing(0.9 + (0.12 + 0.16 * len(series)) * len(names)) as (axes, made):
        for index, (title, values) in enumerate(series):
            places = [place - 0.4 + height * (index + 0.5) for place in range(len(names))]
            axes.barh(places, values, height=height, color=colours[index % 4], label=title)
        axes.set_yticks(range(len(names)), names)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(label)
        _thousands(axes)
        axes.invert_yaxis()
        axes.legend(frameon=False, ncols=len(series), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return made[0]


def tornado(
    names: Sequence[str],
    ends: Sequence[tuple[float, float]],
    notes: Sequence[tuple[str, str]],
    now: float,
    label: str,
) -> str:
    """From the value at one end to that at the other, around the value now."""
    with drawing(0.8 + 0.32 * len(names)) as (axes, made):
        for place, ((low, high), (at_low, at_high)) in enumerate(zip(ends, notes, strict=True)):
            for value, colour, text in ((low, ORANGE, at_low), (high, BLUE, at_high)):
                axes.barh(place, value - now, left=now, color=colour, height=0.65)
                right = value == max(low, high) and (text == at_high or low != high)
                axes.annotate(
                    text,
                    (value, place),
                    xytext=(4 if right else -4, 0),
                    textcoords="offset points",
                    ha="left" if right else "right",
                    va="center",
                    fontsize=8,
                )
        axes.axvline(now, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel(label)
        _thousands(axes)
        axes.margins(x=0.14)
        axes.invert_yaxis()
    return made[0]


def front(points: Sequence[tuple[float, float, str, bool]], x_label: str, y_label: str) -> str:
    """(x, y, mark, on the front): marked ones with their name, the front as a line."""
    with drawing(3.6) as (axes, made):
        on = sorted((x, y) for x, y, _, best in points if best)
        axes.plot(*zip(*on, strict=True), color=BLUE, marker="o", markersize=4, linewidth=1.2)
        offsets: dict[tuple[float, float], int] = {}
        for x, y, mark, _ in points:
            if not mark:
                continue
            style: dict[str, Any] = {"marker": "s", "color": ORANGE, "linestyle": "none"}
            axes.plot([x], [y], **style)
            line = offsets[(x, y)] = offsets.get((x, y), -1) + 1
            axes.annotate(mark, (x, y), xytext=(6, 6 + 12 * line), textcoords="offset points")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.margins(x=0.18, y=0.18)
    return made[0]
