"""Rows of CSV, TSV, JSONL and Parquet files, with the line where each stands."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ..errors import FieldError, MissingExtraError, SyntaxFileError

Record = dict[str, Any]


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """(line, record); for Parquet the row, counted from 1.

    Raises SyntaxFileError with the line, FieldError for an unknown suffix, or MissingExtraError.
    """
    readers = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise FieldError(
            f"{path}: {path.suffix or 'no suffix'} is not a known data format",
            f"use {', '.join(readers)}",
        )
    try:
        yield from readers[path.suffix](path)
    except UnicodeDecodeError as error:
        raise SyntaxFileError(
            f"{path}:{_undecodable_line(path)}: not UTF-8: {error.reason}",
            "save it as UTF-8, for example: iconv -f latin1 -t utf8",
        ) from error


def _open(path: Path) -> TextIO:
    return path.open(newline="", encoding="utf-8-sig")  # spreadsheets write a byte-order mark


def _undecodable_line(path: Path) -> int:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    raise AssertionError("every line can be decoded")


def _tsv(path: Path) -> Iterator[tuple[int, Record]]:
    return _csv(path, "\t")


def _csv(path: Path, delimiter: str = ",") -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(sys.maxsize)
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            _check_header(path, header)
            line = reader.line_num + 1
            for values in reader:
                if values:
                    _check_width(f"{path}:{line}", values, header)
                    yield line, dict(zip(header, values, strict=False))
                line = reader.line_num + 1
        except csv.Error as error:
            raise SyntaxFileError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error


def _check_header(path: Path, header: list[str]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise SyntaxFileError(f"{path}:1: two columns are named {twice[0]!r}", "rename one of them")
    if len(header) == 1 and ";" in header[0]:
        raise SyntaxFileError(
            f"{path}:1: the columns seem to be separated by semicolons: {header[0]}",
            "separate them by commas, or save the file as .tsv with tabs",
        )


def _check_width(where: str, values: list[str], header: list[str]) -> None:
    if len(values) > len(header):
        raise SyntaxFileError(
            f"{where}: {len(values)} values for {len(header)} columns",
            "put quotation marks around a text with separators in it",
        )


def _jsonl(path: Path) -> Iterator[tuple[int, Record]]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise SyntaxFileError(f"{path}:{number}: not valid JSON: {error.msg}") from error
            if not isinstance(record, dict):
                raise SyntaxFileError(f"{path}:{number}: expected an object with text and label")
            yield number, record


def _parquet(path: Path) -> Iterator[tuple[int, Record]]:
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
