from __future__ import annotations

from flexp.runtime.batches import Encoded
from flexp.runtime.data import Row
from flexp.runtime.partition import ClientData, Partition
from flexp.runtime.statistics import describe


def test_classes_and_lengths_of_a_client() -> None:
    labels = ["b", "a", "b", "b"]
    rows = tuple(Row(text="x", label=label) for label in labels)
    partition = Partition(
        classes=("a", "b"), clients={"ada": ClientData(train=rows, test=rows[:2])}
    )
    tokens = [[1] * count for count in (3, 8, 8, 5)]
    encoded = Encoded(ids=tuple(tokens), labels=(1, 0, 1, 1))
    found = describe(partition, {"ada": encoded}, length=8)["ada"]
    assert (found.train_rows, found.test_rows) == (4, 2)
    assert list(found.classes.items()) == [("b", 3), ("a", 1)]
    lengths = found.tokens
    assert (lengths.shortest, lengths.median, lengths.longest, lengths.at_limit) == (3, 6.5, 8, 2)
