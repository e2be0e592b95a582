"""What each client's rows are: how many of which class, and how long."""

from __future__ import annotations

from collections import Counter
from statistics import median

from pydantic import NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from .batches import Encoded
from .partition import ClientData, Partition


class Lengths(Contract):
    """Tokens of a row, as trained."""

    shortest: NonNegativeInt
    median: float
    longest: NonNegativeInt
    at_limit: NonNegativeInt
    """Rows that fill the planned length: longer ones are cut there."""


class DataStatistics(Contract):
    train_rows: PositiveInt
    test_rows: PositiveInt
    classes: dict[str, PositiveInt]
    """Training rows of each class that the client has, or words of each tag, the most frequent
    first; empty where rows have no class."""
    tokens: Lengths | None
    """Of the training rows; none for images."""


def describe(
    partition: Partition, train: dict[str, Encoded], length: int | None
) -> dict[str, DataStatistics]:
    return {name: _client(rows, train[name], length) for name, rows in partition.clients.items()}


def _client(rows: ClientData, encoded: Encoded, length: int | None) -> DataStatistics:
    labels = (label for row in rows.train for label in row.tags or (row.label,) if label)
    return DataStatistics(
        train_rows=len(rows.train),
        test_rows=len(rows.test),
        classes=dict(Counter(labels).most_common()),
        tokens=None if length is None else _lengths(encoded, length),
    )


def _lengths(encoded: Encoded, limit: int) -> Lengths:
    tokens = [len(ids) for ids in encoded.ids]
    return Lengths(
        shortest=min(tokens),
        median=median(tokens),
        longest=max(tokens),
        at_limit=sum(count >= limit for count in tokens),
    )
