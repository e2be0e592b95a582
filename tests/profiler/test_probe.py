"""A whole probe of this machine, and of machines that are busy, drained, small or limited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest
import torch
from flexp.errors import FieldError, FlexpError, MissingFileError
from flexp.profiler import probe, probe_runtime
from flexp.profiler.limits import UsableMemory
from flexp.profiler.power import PowerReport
from flexp.profiler.probe import probe_device
from flexp.profiler.probe_report import Accelerator, BlockTiming, ProbeReport

from .probing import DISK, LENGTH, QUIET, TINY_VIT, report, settings

KIB, MIB = 2**10, 2**20


class NoProcess(AbstractContextManager[object]):
    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        pass


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else runs, on mains; disk and runtime need not be measured."""
    monkeypatch.setattr(probe, "_load_average", lambda: 0.0)
    monkeypatch.setattr(probe.OtherWork, "cores", lambda self: 0.0)
    monkeypatch.setattr(probe, "power_state", lambda: QUIET)
    monkeypatch.setattr(probe, "measure_disk", lambda: DISK)
    monkeypatch.setattr(probe_runtime, "start", lambda *_: NoProcess())
    monkeypatch.setattr(probe_runtime, "read", lambda process: (300 * MIB, False, ()))


def test_a_probe_measures_this_machine(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_load_average", lambda: 0.0)
    monkeypatch.setattr(probe.OtherWork, "cores", lambda self: None)
    monkeypatch.setattr(probe, "power_state", lambda: QUIET)
    monkeypatch.setenv("FLEXP_CACHE", tiny)
    found = probe_device(tiny, settings(), seconds=0.05)
    assert found.notes == ()
    assert found.usable_memory_bytes <= found.ram_bytes
    assert found.threads == max(1, int(found.cores))
    assert found.runtime_bytes is not None
    assert 100 * MIB < found.runtime_bytes < 1000 * MIB
    on_cpu = [timing for timing in found.timings if timing.on == "cpu"]
    assert [(t.block, t.alike, t.length) for t in on_cpu] == [(0, 3, LENGTH)]
    assert on_cpu[0].min_seconds <= on_cpu[0].median_seconds
    assert found.disk.folder == tiny
    device = found.device()
    assert device.source.startswith(f"measured by flexp probe on {found.date}")
    assert device.runtime_bytes == found.runtime_bytes
    assert device.cores == found.threads
    assert ProbeReport.model_validate_json(found.model_dump_json()) == found


@pytest.mark.usefixtures("quiet")
def test_each_length_is_timed_and_the_first_is_the_devices(tiny: str) -> None:
    found = probe_device(tiny, settings(), more_lengths=(16, 32), seconds=0.0)
    assert [t.length for t in found.timings if t.on == "cpu"] == [LENGTH, 16, 32]
    assert (
        found.training_flops_per_second
        == found.speed(LENGTH)
        == found.device().training_flops_per_second
    )
    assert found.speed(16) is not None
    assert found.speed(64) is None
    assert f"x {LENGTH}, " in found.device().source


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (None, False), (99.0, True)])
def test_a_busy_machine_is_noted(
    tiny: str, monkeypatch: pytest.MonkeyPatch, load: float | None, busy: bool
) -> None:
    monkeypatch.setattr(probe, "_load_average", lambda: load)
    found = probe_device(tiny, settings(), seconds=0.0)
    assert found.load_average == load
    assert [note.startswith("the machine was busy (load 99.0") for note in found.notes] == (
        [True] if busy else []
    )
    assert ("the machine was busy (load 99.0" in found.device().source) is busy


def test_a_battery_is_in_the_notes_and_the_source(
    tiny: str, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained = PowerReport(battery_percent=61, on_battery=True, saving=None)
    monkeypatch.setattr(probe, "power_state", lambda: drained)
    found = probe_device(tiny, settings(), seconds=0.0)
    assert found.notes == (drained.note,)
    assert "on battery (61%)" in found.device().source


@pytest.mark.usefixtures("quiet")
def test_a_runtime_that_compiled_bytecode_is_measured_again(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([(461 * MIB, True, ()), (373 * MIB, False, ())])
    monkeypatch.setattr(probe_runtime, "read", lambda process: next(answers))
    assert probe_device(tiny, settings(), seconds=0.0).runtime_bytes == 373 * MIB


def test_an_accelerator_is_timed_like_the_cpu(
    tmp_path: Path, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meta device stands in for one (and an image model, for it has no mask, whose values meta
    lacks): an operation on it and on the CPU at once would fail."""
    (tmp_path / "config.json").write_text(json.dumps(TINY_VIT), encoding="utf-8")
    stand_in = Accelerator(type="meta", name="a test", memory_bytes=MIB, free_memory_bytes=MIB)
    monkeypatch.setattr("flexp.profiler.accelerator.find_accelerator", lambda: stand_in)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    found = probe_device(str(tmp_path), settings(), more_lengths=(16,), seconds=0.0)
    assert found.notes == ()
    assert [(t.on, t.length) for t in found.timings] == [
        ("cpu", LENGTH),
        ("cpu", 16),
        ("meta", LENGTH),
        ("meta", 16),
    ]
    cpu, meta = found.timings[0], found.timings[2]
    assert cpu.step_flops * meta.batch == meta.step_flops * cpu.batch
    assert found.device().accelerator == "meta: a test"
    assert found.device().training_flops_per_second == found.speed(LENGTH)


@pytest.mark.parametrize(
    ("free_bytes", "said"),
    [(10, "10 B of its memory are free"), (None, "meta failed at length 8: no such kernel")],
)
def test_an_accelerator_that_fails_is_a_note(
    tiny: str,
    quiet: None,
    monkeypatch: pytest.MonkeyPatch,
    free_bytes: int | None,
    said: str,
) -> None:
    def no_kernel(*_: object, on: str = "cpu") -> tuple[BlockTiming, ...]:
        if on != "cpu":
            raise NotImplementedError("no such kernel\nand a long trace")
        return report().timings

    monkeypatch.setattr("flexp.profiler.block_speed.time_blocks", no_kernel)
    found = Accelerator(type="meta", name=None, memory_bytes=None, free_memory_bytes=free_bytes)
    monkeypatch.setattr("flexp.profiler.accelerator.find_accelerator", lambda: found)
    probed = probe_device(tiny, settings(), seconds=0.0)
    assert [timing.on for timing in probed.timings] == ["cpu"]
    assert said in probed.notes[0]
    assert "trace" not in probed.notes[0]


def test_a_missing_model_is_named() -> None:
    with pytest.raises(MissingFileError):
        probe_device("./no/such/folder", settings())


def test_a_length_that_the_model_cannot_take(tiny: str) -> None:
    with pytest.raises(FieldError, match="64"):
        probe_device(tiny, settings(length=65), seconds=0.0)


def test_a_block_that_does_not_fit_is_not_timed(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "usable_memory", lambda: UsableMemory(MIB, 9 * KIB, "a test"))
    monkeypatch.setattr(probe_runtime.sys, "executable", shutil.which("false"))
    found = probe_device(tiny, settings(), seconds=0.0)
    assert found.training_flops_per_second is None
    with pytest.raises(FlexpError) as raised:
        found.device()
    assert "too small for a block" in raised.value.message
    assert "9 KiB, a test" in raised.value.message


def test_a_runtime_that_cannot_be_measured_is_none(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_runtime.sys, "executable", shutil.which("false"))
    found = probe_device(tiny, settings(), seconds=0.0)
    assert found.runtime_bytes is None
    assert found.training_flops_per_second is not None
    with pytest.raises(FlexpError, match="tiny training run failed"):
        found.device()


LIMITED = """
import json, sys
from flexp.profiler.probe import probe_device
from flexp.profiler.profile import ProfileSettings
settings = ProfileSettings(batch=4, length=8, lora_rank=2)
print(probe_device(sys.argv[1], settings, seconds=0.05).model_dump_json())
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_whole_probe_under_limits_reports_them(tiny: str) -> None:
    """One core and half of the machine's memory as address space, set from outside."""
    half = psutil.virtual_memory().total // 2
    core = str(min(os.sched_getaffinity(0)))
    command = ["prlimit", f"--as={half}", "taskset", "--cpu-list", core, sys.executable]
    environment = {**os.environ, "FLEXP_CACHE": tiny}
    done = subprocess.run(
        [*command, "-c", LIMITED, tiny], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = ProbeReport.model_validate_json(done.stdout)
    assert (found.cores, found.threads) == (1, 1)
    assert found.usable_memory_bytes == half or "ulimit" not in found.memory_limit
    assert found.usable_memory_bytes <= half
    assert found.device().usable_memory_bytes <= half
    assert "1 CPU threads" in found.device().source
