"""What a report is made of, before it is a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Say = Callable[[str], str]
"""An English text in the report's language."""


@dataclass(frozen=True)
class Cell:
    text: str
    value: float | None = None
    """What a table is sorted by; none: the text."""


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    @property
    def numeric(self) -> tuple[bool, ...]:
        """By column: whether it holds numbers."""
        return tuple(
            bool(self.rows) and any(row[index].value is not None for row in self.rows)
            for index in range(len(self.columns))
        )

    @property
    def csv_text(self) -> str:
        """Exact values where there are any."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow([cell.text if cell.value is None else cell.value for cell in row])
        return file.getvalue()


@dataclass(frozen=True)
class Chart:
    title: str
    svg: str
    alt: str
    """What it shows, for those who do not see it."""


@dataclass(frozen=True)
class Section:
    title: str
    verdicts: tuple[str, ...] = ()
    """The first one goes to the top of the page."""
    good: bool | None = None
    """Of the verdict; none: neither good nor bad."""
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    remarks: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = field(default=())


def row(*cells: str | float | Cell | None) -> tuple[Cell, ...]:
    """Texts, and cells with values; None is a dash."""
    return tuple(_cell(cell) for cell in cells)


def _cell(cell: str | float | Cell | None) -> Cell:
    if isinstance(cell, Cell):
        return cell
    if cell is None:
        return Cell("–")
    if isinstance(cell, str):
        return Cell(cell)
    return Cell(number(cell), float(cell))


def number(value: float) -> str:
    """For reading: "12,345", "3.14"."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def size(count: float | None) -> Cell:
    from ...catalog.units import format_bytes

    return Cell("–") if count is None else Cell(format_bytes(count), count)


def seconds(value: float | None) -> Cell:
    from ...catalog.units import format_seconds

    if value is None:
        return Cell("–")
    return Cell(format_seconds(value) if value else "0 s", value)


def share(value: float) -> Cell:
    return Cell(f"{value:.0%}", value)


def titles(say: Say, *columns: str) -> tuple[str, ...]:
    return tuple(say(column) for column in columns)


def listed(texts: Sequence[str]) -> str:
    return "; ".join(texts)
