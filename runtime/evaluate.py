"""Personal and global accuracy of each client's model, measured through the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from pydantic import NonNegativeFloat

from ..catalog.files import Contract
from .batches import Batch, Batcher, Encoded
from .client import Client
from .label_prior import Mode
from .step_checks import is_finite

GLOBAL_ROWS_PER_CLIENT = 20
"""Test rows that each client gives to the common test set."""


class Accuracy(Contract):
    """Shares of labels predicted right: of rows, or of the tokens that have one."""

    personal: NonNegativeFloat
    """On the client's own test rows."""
    overall: NonNegativeFloat
    """On everyone's: the first rows of each client's test set together."""


@dataclass(frozen=True)
class TestSets:
    __test__ = False

    own: Mapping[str, Encoded]

    def everyone(self, batcher: Batcher, size: int) -> Iterator[Batch]:
        return chain.from_iterable(
            batcher.in_order(head(data, GLOBAL_ROWS_PER_CLIENT), size) for data in self.own.values()
        )


def head(data: Encoded, rows: int) -> Encoded:
    return Encoded(ids=data.ids[:rows], labels=data.labels[:rows])


def accuracy(client: Client, batches: Iterator[Batch], mode: Mode = "personal") -> float:
    """Share of the labels that are predicted right. A model whose numbers have broken down gets
    none right: logits of a batch that are not finite predict nothing."""
    right = total = 0
    for inputs, labels in batches:
        logits = client.predict(inputs, mode)
        right += client.model.right(logits, labels) if is_finite(logits) else 0
        total += client.model.counted(labels)
    return right / total if total else 0.0


def evaluate(
    clients: Mapping[str, Client],
    tests: TestSets,
    batcher: Batcher,
    batch: int,
    on_client: Callable[[], None],
) -> dict[str, Accuracy]:
    result = {}
    for name, client in clients.items():
        result[name] = Accuracy(
            personal=accuracy(client, batcher.in_order(tests.own[name], batch)),
            overall=accuracy(client, tests.everyone(batcher, batch), "global"),
        )
        on_client()
    return result
