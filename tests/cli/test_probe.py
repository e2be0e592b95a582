"""`flexp probe`: every figure or "unknown", and a device that a fleet takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.catalog.device import Device
from flexp.catalog.files import read_contract
from flexp.planner.resolve import read_fleet
from flexp.profiler.probe_report import BlockTiming, ProbeReport
from flexp.profiler.profile import ProfileSettings
from typer.testing import Result

GIB = 2**30
REPORT = ProbeReport(
    machine="bench",
    date="2026-01-31",
    model="minilm-l6",
    settings=ProfileSettings(batch=4),
    cores=1.5,
    threads=1,
    ram_bytes=8 * GIB,
    usable_memory_bytes=3 * GIB,
    memory_limit="memory.max of cgroup /box",
    load_average=None,
    accelerator=None,
    timings=(
        BlockTiming(
            block=1,
            alike=6,
            batch=2,
            step_flops=2_000_000_000,
            steps=20,
            min_seconds=0.04,
            median_seconds=0.05,
        ),
    ),
    runtime_bytes=GIB // 2,
)
UNKNOWN = REPORT.model_copy(
    update={"runtime_bytes": None, "timings": (), "notes": ("a tiny training run failed: no",)}
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[ProbeReport], list[ProfileSettings]]:
    """`found(report)` makes the next probe find `report`, and returns what it will be asked."""

    def set_report(report: ProbeReport) -> list[ProfileSettings]:
        asked: list[ProfileSettings] = []

        def answer(model: str, settings: ProfileSettings) -> ProbeReport:
            asked.append(settings)
            return report

        monkeypatch.setattr("flexp.profiler.probe.probe_device", answer)
        return asked

    return set_report


def figures(result: Result) -> dict[str, str]:
    """Label to figure of each row of the table."""
    labels = ("cores", "usable memory", "runtime", "speed", "load", "accelerator")
    lines = {
        label: line.removeprefix(label).strip()
        for line in result.stdout.splitlines()
        for label in labels
        if line.startswith(label + " ")
    }
    return {label: text.split("  ")[0] for label, text in lines.items()}


def test_table(typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]]) -> None:
    asked = found(REPORT)
    result = typed("probe", "--batch", "4")
    assert result.exit_code == 0, result.output
    assert asked == [ProfileSettings(batch=4)]
    assert figures(result) == {
        "cores": "1.5",
        "usable memory": "3 GiB",
        "runtime": "512 MiB",
        "speed": "40 GFLOP/s",
        "load": "unknown",
        "accelerator": "none found",
    }
    text = " ".join(result.stdout.split())
    assert "memory.max of cgroup /box (physical: 8 GiB)" in text
    assert "block 1 (6 alike), batch 2: median 50 ms of 20 steps, fastest 40 ms" in text
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_what_is_written_is_a_fleets_device(
    typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]], folder: Path
) -> None:
    found(REPORT)
    result = typed("probe", "-o", "device.yaml")
    assert (result.exit_code, result.stderr) == (0, "wrote device.yaml\n")
    assert read_contract(Device, folder / "device.yaml") == REPORT.device()
    fleet = folder / "fleet.yaml"
    text = fleet.read_text(encoding="utf-8")
    fleet.write_text(text.replace("device: *desk", "device: device.yaml"), encoding="utf-8")
    assert read_fleet(fleet).clients[0].device == REPORT.device()


def test_json(typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]]) -> None:
    found(REPORT)
    printed = json.loads(typed("probe", "--json").stdout)
    assert Device.model_validate(printed["device"]) == REPORT.device()
    assert ProbeReport.model_validate(printed["report"]) == REPORT


def test_unknown_is_said_and_not_written(
    typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]], folder: Path
) -> None:
    found(UNKNOWN)
    result = typed("probe", "-o", "device.yaml")
    assert (figures(result)["speed"], figures(result)["runtime"]) == ("unknown", "unknown")
    assert "note: a tiny training run failed: no" in result.stdout
    assert (result.exit_code, result.stderr.startswith("error: bench ")) == (1, True)
    assert not (folder / "device.yaml").exists()
    assert json.loads(typed("probe", "--json").stdout)["device"] is None
