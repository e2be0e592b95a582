"""What a report says: speed, what counts as busy, the device."""

from __future__ import annotations

import pytest
from flexp.errors import FlexpError
from flexp.profiler.probe_report import BlockTiming

from .probing import LENGTH, report

MIB = 2**20


@pytest.mark.parametrize(
    ("cores", "load", "other", "busy"),
    [
        (2, None, 0.1, None),
        (2, None, 0.3, "other programs kept 0.3 cores busy"),
        (64, None, 30.0, None),  # two of 64 cores are used, and 34 were free
        (2, 1.0, None, "load 1.0 on 1.5 cores"),
        (2, 0.7, None, None),
    ],
)
def test_what_counts_as_busy(
    cores: int, load: float | None, other: float | None, busy: str | None
) -> None:
    found = report(machine_cores=cores, threads=2, load_average=load, other_cores=other)
    assert found.busy == busy


def test_speed_weighs_blocks_by_their_number() -> None:
    def timing(alike: int, flops: int, seconds: float) -> BlockTiming:
        return BlockTiming(
            block=0,
            alike=alike,
            length=LENGTH,
            batch=1,
            step_flops=flops,
            steps=3,
            min_seconds=seconds / 2,
            median_seconds=seconds,
        )

    found = report(timings=[timing(5, 600, 2.0), timing(1, 1000, 10.0)])
    assert found.training_flops_per_second == (5 * 600 + 1000) / (5 * 2.0 + 10.0)
    assert report(timings=[]).training_flops_per_second is None


def test_a_report_becomes_a_device() -> None:
    device = report().device()
    assert (device.name, device.cores, device.accelerator) == ("here", 1, None)
    assert device.training_flops_per_second == 300
    assert "2026-11-01" in device.source
    assert "batch 2 x 8" in device.source


def test_too_little_memory_is_said_plainly() -> None:
    with pytest.raises(FlexpError) as raised:
        report(usable_memory_bytes=200 * MIB, memory_limit="memory.max of cgroup /app").device()
    assert "200 MiB" in raised.value.message
    assert "300 MiB" in raised.value.message
    assert "cgroup /app" in raised.value.message
