"""The same work on many parts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from flexp.planner import threads
from flexp.planner.threads import in_threads


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 3)


def test_results_come_in_the_order_of_the_parts() -> None:
    def late(part: int) -> int:
        time.sleep(0.01 * (part % 3))
        return part**2

    assert list(in_threads(late, range(20))) == [part**2 for part in range(20)]


def test_a_single_part_runs_in_the_callers_thread() -> None:
    assert list(in_threads(lambda _: threading.get_ident(), [0])) == [threading.get_ident()]
    assert threading.get_ident() not in list(in_threads(lambda _: threading.get_ident(), [0, 1]))
    assert list(in_threads(lambda part: part, [])) == []


def test_parts_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    assert len(list(in_threads(lambda _: together.wait(), range(9)))) == 9


def test_few_parts_are_begun_before_they_are_wanted() -> None:
    begun: list[int] = []

    def parts() -> Iterator[int]:
        for part in range(1000):
            begun.append(part)
            yield part

    found = in_threads(lambda part: part, parts())
    assert next(found) == 0
    assert len(begun) <= 10
    found.close()
    assert len(begun) <= 10


def test_an_error_ends_it() -> None:
    def fails(part: int) -> int:
        if part == 4:
            raise ValueError("part 4")
        return part

    with pytest.raises(ValueError, match="part 4"):
        list(in_threads(fails, range(1000)))
