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
from flexp.catalog.models.entry import load_config, model_names
from flexp.errors import FieldError, FlexpError, MissingFileError
from flexp.profiler import probe, probe_runtime
from flexp.profiler.block_speed import affordable_batch, sample_blocks, time_blocks, weight_bytes
from flexp.profiler.disk_speed import DiskReport
from flexp.profiler.limits import UsableMemory
from flexp.profiler.power import PowerReport
from flexp.profiler.probe import probe_device
from flexp.profiler.probe_report import Accelerator, BlockTiming, ProbeReport
from flexp.profiler.profile import ProfileSettings

KIB, MIB = 2**10, 2**20
QUIET = PowerReport(battery_percent=None, on_battery=None, saving=None)
DISK = DiskReport(
    folder="/cache",
    free_bytes=MIB,
    file_bytes=0,
    write_bytes_per_second=None,
    read_bytes_per_second=None,
)
HIDDEN, INNER, BATCH, LENGTH, RANK = 32, 64, 4, 8, 2
TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 5000,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
}


def settings(method: str = "lora", **other: object) -> ProfileSettings:
    given = {"method": method, "batch": BATCH, "length": LENGTH, "lora_rank": RANK, **other}
    return ProfileSettings.model_validate(given)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps(TINY_BERT), encoding="utf-8")
    return str(tmp_path)


def report(**changes: object) -> ProbeReport:
    timing = {"block": 0, "alike": 3, "length": LENGTH, "batch": 2, "step_flops": 600, "steps": 3}
    seconds = {"min_seconds": 1.0, "median_seconds": 2.0}
    good = {
        "machine": "here",
        "date": "2026-11-01",
        "model": "tiny",
        "settings": settings(),
        "cores": 1.5,
        "threads": 1,
        "ram_bytes": 1000 * MIB,
        "usable_memory_bytes": 900 * MIB,
        "memory_limit": "memory available now",
        "load_average": None,
        "machine_cores": 2,
        "other_cores": None,
        "power": QUIET,
        "accelerator": None,
        "disk": DISK,
        "timings": [BlockTiming.model_validate({**timing, **seconds})],
        "runtime_bytes": 300 * MIB,
    }
    return ProbeReport.model_validate({**good, **changes})


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


TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
}


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


def linear_flops(method: str, batch: int) -> int:
    """2 FLOPs a multiply-add: forward, gradient of the input, gradient of what trains."""
    tokens = batch * LENGTH
    shapes = [(HIDDEN, HIDDEN)] * 4 + [(HIDDEN, INNER), (INNER, HIDDEN)]
    passes = 3 if method == "full" else 2
    base = sum(2 * tokens * rows * columns * passes for rows, columns in shapes)
    attention = 2 * tokens * LENGTH * HIDDEN * (2 + 5)  # 2 products forward, 5 in flash backward
    adapters = 0
    if method == "lora":  # query and value, A and B
        adapters = 2 * 2 * tokens * RANK * (HIDDEN + HIDDEN) * 3
    return base + attention + adapters


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_flops_of_a_block_are_those_of_its_method(tiny: str, method: str) -> None:
    sample = sample_blocks(load_config(tiny))
    (timing,) = time_blocks(sample, settings(method), threads=1, seconds=0.0)
    assert timing.step_flops == linear_flops(method, timing.batch)
    assert timing.steps >= 3


@pytest.mark.parametrize(
    ("sample_seconds", "share_seconds", "batch", "affordable"),
    [
        (0.001, 3.0, 16, 16),
        (0.1, 3.2, 16, 8),  # three steps and a warm-up of 0.8 s
        (30.0, 3.0, 16, 1),
        (0.1, 0.0, 16, 1),
    ],
)
def test_a_slow_machine_trains_fewer_samples_at_a_time(
    sample_seconds: float, share_seconds: float, batch: int, affordable: int
) -> None:
    assert affordable_batch(sample_seconds, share_seconds, batch) == affordable


def test_threads_are_put_back(tiny: str) -> None:
    before = torch.get_num_threads()
    time_blocks(sample_blocks(load_config(tiny)), settings(), threads=before + 1, seconds=0.0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("model", model_names())
def test_samples_keep_the_blocks_and_shrink_the_rest(model: str) -> None:
    config = load_config(model)
    sample = sample_blocks(config)
    assert sum(sample.alike) == config.num_hidden_layers
    assert sample.config.num_hidden_layers == len(sample.blocks) == len(sample.alike)
    how = settings("full")
    whole = weight_bytes(sample, how)
    assert whole < 16 * 2**30
    assert getattr(sample.config, "vocab_size", 0) <= 1024


def test_each_kind_of_block_counts_as_often_as_it_occurs() -> None:
    sample = sample_blocks(load_config("gemma-3-1b"))
    assert (sample.blocks, sample.alike) == ((0, 5), (22, 4))


@pytest.mark.parametrize(
    "architecture",
    [
        {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2},
        {
            "model_type": "gemma3_text",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "sliding_window": 4,
            "sliding_window_pattern": 2,
        },
        TINY_VIT,
    ],
    ids=lambda architecture: architecture["model_type"],
)
def test_other_architectures_can_be_timed(tmp_path: Path, architecture: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(architecture), encoding="utf-8")
    sample = sample_blocks(load_config(str(tmp_path)))
    timings = time_blocks(sample, settings("full"), threads=1, seconds=0.0)
    assert [timing.alike for timing in timings] == list(sample.alike)
    assert all(timing.step_flops > 0 for timing in timings)


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


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_tiny_run_prints_resident_bytes(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_runtime, "resident_bytes", lambda: 12345)
    monkeypatch.setattr(probe_runtime, "count_compiled", lambda: lambda: 7)
    probe_runtime.main(method, torch.get_num_threads())
    assert capsys.readouterr().out == "12345 7\n"


COMPILED = """
import sys
from flexp.profiler.probe_runtime import count_compiled
compiled = count_compiled()
sys.path.insert(0, sys.argv[1])
import some_module
print(compiled())
"""


@pytest.mark.parametrize(("kept", "counts"), [("", ["1", "0"]), ("1", ["0", "0"])])
def test_modules_are_counted_when_their_bytecode_is_written(
    tmp_path: Path, kept: str, counts: list[str]
) -> None:
    """Nothing is counted where no bytecode is kept: the next process compiles again."""
    (tmp_path / "some_module.py").write_text("x = 1\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": kept}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    found = []
    for _ in counts:
        command = [sys.executable, "-c", COMPILED, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.append(done.stdout.strip())
    assert found == counts


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
