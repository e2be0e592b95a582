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
    """Training rows of each class that the client has, the most frequent first."""
    tokens: Lengths
    """Of the training rows."""


def describe(
    partition: Partition, train: dict[str, Encoded], length: int
) -> dict[str, DataStatistics]:
    return {name: _client(rows, train[name], length) for name, rows in partition.clients.items()}


def _client(rows: ClientData, encoded: Encoded, length: int) -> DataStatistics:
    tokens = [len(ids) for ids in encoded.ids]
    return DataStatistics(
        train_rows=len(rows.train),
        test_rows=len(rows.test),
        classes=dict(Counter(row.label for row in rows.train).most_common()),
        tokens=Lengths(
            shortest=min(tokens),
            median=median(tokens),
            longest=max(tokens),
            at_limit=sum(count >= length for count in tokens),
        ),
    )
