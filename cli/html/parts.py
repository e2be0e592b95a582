"""What a report is made of, before it is a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from unicodedata import east_asian_width

Say = Callable[[str], str]
"""An English text in the report's language."""


NONE, JOINT = "–", "; "
BRIEF, LONG = 24, 40
"""Columns of a text up to which it stays on one line, and of a word from which it may be broken."""


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
    def kinds(self) -> tuple[str, ...]:
        """By column, how it is set: number, brief (none needs a second line), long (with words that
        may be broken), or nothing of these."""
        return tuple(
            "number"
            if number
            else "brief"
            if max((width(cell.text) for cell in cells), default=0) <= BRIEF
            else "long" * any(len(word) > LONG for cell in cells for word in cell.text.split())
            for number, cells in zip(self.numeric, self._by_column, strict=True)
        )

    @property
    def numeric(self) -> tuple[bool, ...]:
        """By column: whether it holds numbers, or nothing but dashes."""
        return tuple(
            any(cell.value is not None for cell in cells) or {cell.text for cell in cells} == {NONE}
            for cells in self._by_column
        )

    @property
    def _by_column(self) -> list[tuple[Cell, ...]]:
        return [tuple(row[index] for row in self.rows) for index in range(len(self.columns))]

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
        return Cell(NONE)
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

    return Cell(NONE) if count is None else Cell(format_bytes(count), count)


def seconds(value: float | None) -> Cell:
    from ...catalog.units import format_seconds

    if value is None:
        return Cell(NONE)
    return Cell(format_seconds(value) if value else "0 s", value)


def share(value: float) -> Cell:
    return Cell(f"{value:.0%}", value)


def titles(say: Say, *columns: str) -> tuple[str, ...]:
    return tuple(say(column) for column in columns)


def listed(say: Say, texts: Sequence[str]) -> str:
    """What the planner says, one after the other."""
    return say(JOINT).join(map(say, texts))


def width(text: str) -> int:
    """Columns that it takes; a letter of Chinese or Japanese takes two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
