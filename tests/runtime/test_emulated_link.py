from __future__ import annotations

import copy

import pytest
from flexp.profiler.placement import Placement
from flexp.runtime.emulated_link import EmulatedLink

from .families import batch_of, whole_model
from .test_micro_batches import PartsTrainer, new_client


class Time:
    """A clock that stands still but for sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def link(time: Time, answer: bytes = b"") -> EmulatedLink:
    return EmulatedLink(
        lambda data: answer,
        up_bits_per_second=8000,
        down_bits_per_second=16000,
        rtt_seconds=0.5,
        clock=lambda: time.now,
        sleep=time.sleep,
    )


def test_a_message_takes_its_bits_and_half_a_round_trip_each_way() -> None:
    time = Time()
    assert link(time, answer=b"x" * 4000)(b"y" * 3000) == b"x" * 4000
    assert time.now == pytest.approx(100 + 3.0 + 2.0 + 0.5)


def test_messages_of_one_direction_follow_each_other() -> None:
    """Handed over at the same time, the second one is sent after the first; the way overlaps."""
    time = Time()
    slow = link(time)
    assert [slow.up.book(size) for size in (1000, 3000)] == pytest.approx([101.0, 104.0])
    assert slow.down.book(2000) == pytest.approx(101.0)
    time.now = 200.0
    assert slow.up.book(1000) == pytest.approx(201.0)


def test_a_step_over_a_link_is_the_same_step() -> None:
    """Every part waits for its own answer, whoever overtakes whom."""
    model = whole_model("bert", "classification")
    batch = batch_of(model, "classification", "right")
    losses = []
    for delayed in (False, True):
        kept, served = copy.deepcopy(model), copy.deepcopy(model)
        server = PartsTrainer(served, Placement(1))
        deliver = server.handle
        if delayed:
            deliver = EmulatedLink(
                server.handle, up_bits_per_second=1e8, down_bits_per_second=1e9, rtt_seconds=1e-3
            )
        client = new_client(kept, Placement(1), 3, deliver)
        losses.append(client.train_step(0, *batch))
    assert losses[0] == losses[1]
