"""The rows of an inventory, with the place of every cell for messages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...catalog.units import parse
from ...errors import EmptyDataError, FieldError, MissingFileError, SyntaxFileError
from .columns import HEADERS, UNITS, USUAL, Column, find_columns

DELIMITERS = ",;\t"
TRUE, FALSE = ("yes", "true", "1", "y", "x"), ("no", "false", "0", "n")


@dataclass(frozen=True)
class Row:
    """One device, or `count` equal ones."""

    path: Path
    line: int
    """Where it begins in the file."""
    columns: Mapping[str, Column]
    cells: tuple[str, ...]

    def text(self, field: str) -> str:
        """The field as it stands there; "" where the row does not say."""
        column = self.columns.get(field)
        if column is None or column.index >= len(self.cells):
            return ""
        return self.cells[column.index].strip()

    def where(self, field: str) -> str:
        """Begins a message about the field."""
        column = self.columns.get(field)
        return f"{self.path}:{self.line}: " + (f"{column}: " if column else "")

    def quantity(self, field: str) -> float | None:
        """In base units. Raises FieldError: a number without a unit is not guessed at."""
        text, units = self.text(field), UNITS[field]
        if not text:
            return None
        unit = self.columns[field].unit
        if re.fullmatch(r"[\d_.]+", text):
            if not unit:
                raise FieldError(
                    f"{self.where(field)}{text!r} has no unit",
                    f'write "{text} {USUAL[field]}", or name the unit in the header: '
                    f'"{self.columns[field].header} ({USUAL[field]})"',
                )
            text = f"{text} {unit}"
        try:
            value = parse(text, units)
        except ValueError as error:
            raise FieldError(f"{self.where(field)}{error}, found {text!r}") from None
        if not isinstance(value, float) or value < 0 or (value == 0 and field != "rtt"):
            raise FieldError(f"{self.where(field)}must be above 0, found {text!r}")
        return value

    def whole(self, field: str) -> int | None:
        """A whole number from 1. Raises FieldError."""
        text = self.text(field)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise FieldError(
                f"{self.where(field)}expected a whole number from 1, found {text!r}",
                "write it in digits alone, without separators",
            )
        return int(text)

    def flag(self, field: str) -> bool:
        """Yes or no; no where the row does not say. Raises FieldError."""
        text = self.text(field).lower()
        if text and text not in (*TRUE, *FALSE):
            raise FieldError(f"{self.where(field)}expected yes or no, found {text!r}")
        return text in TRUE


@dataclass(frozen=True)
class Inventory:
    rows: tuple[Row, ...]
    ignored: tuple[str, ...]
    """Headers of columns that hold nothing for a fleet."""


def read_inventory(path: Path, given: Mapping[str, str]) -> Inventory:
    """A CSV file whose first row names the columns; `given` is that of `find_columns`. Cells are
    divided by the comma, semicolon or tab that stands most often in the first row.

    Raises MissingFileError, SyntaxFileError, FieldError, UnknownNameError or EmptyDataError.
    """
    lines = _lines(path)
    headers = next(lines, (1, ()))[1]
    columns = find_columns(headers, given, f"{path}:1: ")
    if not columns:
        raise FieldError(
            f"{path}:1: no column is understood, found {', '.join(headers) or 'nothing'}",
            f"the first row names the columns, such as {', '.join(HEADERS)}; or say which is which "
            "with --column 'device=HEADER'",
        )
    rows = tuple(Row(path, line, columns, cells) for line, cells in lines if any(cells))
    if not rows:
        raise EmptyDataError(f"{path}: holds no devices", "every row below the first is a device")
    for row in rows:
        if len(row.cells) > len(headers):
            raise SyntaxFileError(
                f"{path}:{row.line}: {len(row.cells)} cells, and {len(headers)} columns",
                'put quotes around a cell with a comma: "Tower, 4th floor"',
            )
    used = {column.index for column in columns.values()}
    return Inventory(rows, tuple(h for i, h in enumerate(headers) if i not in used and h))


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line where it begins, cells) of each row."""
    if not path.is_file():
        raise MissingFileError(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SyntaxFileError(
            f"{path}:{line}: not UTF-8", "save the table as CSV in UTF-8"
        ) from None
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, tuple(cell.strip() for cell in cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise SyntaxFileError(f"{path}:{line}: not valid CSV: {error}") from None
