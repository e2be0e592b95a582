"""`flexp probe`: every figure or "unknown", and a device that a fleet takes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.catalog.device import Device, Link
from flexp.catalog.files import read_contract
from flexp.errors import UnreachableError
from flexp.planner.resolve import read_fleet
from flexp.profiler.disk_speed import DiskReport
from flexp.profiler.link_report import LinkReport
from flexp.profiler.power import PowerReport
from flexp.profiler.probe_report import Accelerator, BlockTiming, ProbeReport
from flexp.profiler.profile import ProfileSettings
from flexp.profiler.spread import Spread
from typer.testing import Result

GIB = 2**30


def spread(median: float, samples: int = 5) -> Spread:
    return Spread(min=median / 2, median=median, max=2 * median, samples=samples)


TIMING = BlockTiming(
    block=1,
    alike=6,
    length=64,
    batch=2,
    step_flops=2_000_000_000,
    steps=20,
    min_seconds=0.04,
    median_seconds=0.05,
)
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
    machine_cores=2,
    other_cores=0.04,
    power=PowerReport(battery_percent=None, on_battery=None, saving=None),
    accelerator=None,
    timings=(TIMING,),
    runtime_bytes=GIB // 2,
    disk=DiskReport(
        folder="/cache",
        free_bytes=9 * GIB,
        file_bytes=2**24,
        write_bytes_per_second=spread(2**25, 3),
        read_bytes_per_second=None,
    ),
)
LINK = LinkReport(
    machine="bench",
    server="desk:7070",
    date="2026-01-31",
    up_bits_per_second=spread(8e6),
    down_bits_per_second=spread(30e6),
    rtt_seconds=spread(0.05, 100),
    jitter_seconds=spread(0.002),
    loss=Spread(min=0, median=0, max=0.075, samples=5),
    datagrams_sent=200,
    datagrams_lost=3,
)
UNKNOWN = REPORT.model_copy(
    update={"runtime_bytes": None, "timings": (), "notes": ("a tiny training run failed: no",)}
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[ProbeReport], list[ProfileSettings]]:
    """`found(report)` makes the next probe find `report`, and returns what it will be asked."""

    def set_report(report: ProbeReport) -> list[ProfileSettings]:
        asked: list[ProfileSettings] = []

        def answer(model: str, settings: ProfileSettings, more: tuple[int, ...]) -> ProbeReport:
            asked.append(settings)
            asked.extend(settings.model_copy(update={"length": length}) for length in more)
            return report

        monkeypatch.setattr("flexp.profiler.probe.probe_device", answer)
        return asked

    return set_report


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Callable[[LinkReport], list[tuple[str, int]]]:
    """`linked(report)` makes the next measurement of a link find `report`, and returns the
    addresses that it will be asked for."""

    def set_report(report: LinkReport) -> list[tuple[str, int]]:
        asked: list[tuple[str, int]] = []

        def answer(host: str, port: int) -> LinkReport:
            asked.append((host, port))
            return report

        monkeypatch.setattr("flexp.profiler.link_probe.measure_link", answer)
        return asked

    return set_report


def figures(result: Result) -> dict[str, str]:
    """Label to figure of each row of the table."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1}


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
        "disk, free": "9 GiB",
        "disk, write": "32 MiB/s",
        "disk, read": "unknown",
        "power": "unknown",
    }
    text = " ".join(result.stdout.split())
    assert "memory.max of cgroup /box (RAM: 8 GiB)" in text
    assert "length 64: block 1 (6 alike), batch 2: median 50 ms of 20 steps, fastest 40 ms" in text
    assert "16 MiB/s to 64 MiB/s in 3 samples; 16 MiB, with fsync" in text
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


def test_lengths_are_timed_one_by_one(
    typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]]
) -> None:
    longer = TIMING.model_copy(update={"length": 256, "median_seconds": 0.1})
    asked = found(REPORT.model_copy(update={"timings": (TIMING, longer)}))
    result = typed("probe", "--length", "64,256", "--length", "64, 32")
    assert result.exit_code == 0, result.output
    assert [settings.length for settings in asked] == [64, 256, 32]
    text = " ".join(result.stdout.split())
    assert "speed 40 GFLOP/s length 64: block 1" in text
    assert "speed 20 GFLOP/s length 256: block 1" in text


@pytest.mark.parametrize("length", ["0", "x", "64,", "-3", "1.5", ""])
def test_lengths_that_are_none(typed: Callable[..., Result], length: str) -> None:
    result = typed("probe", "--length", length)
    assert result.exit_code == 2
    assert "--length" in result.stderr


def test_an_accelerators_speed_stands_beside_the_cpus(
    typed: Callable[..., Result], found: Callable[..., list[ProfileSettings]]
) -> None:
    there = Accelerator(type="cuda", name="A1", memory_bytes=8 * GIB, free_memory_bytes=GIB)
    fast = TIMING.model_copy(update={"on": "cuda", "median_seconds": 0.005})
    found(REPORT.model_copy(update={"accelerator": there, "timings": (TIMING, fast)}))
    result = typed("probe")
    assert figures(result)["speed"] == "40 GFLOP/s"
    assert figures(result)["speed (cuda)"] == "400 GFLOP/s"
    assert figures(result)["accelerator"] == "cuda"
    assert "A1, memory: 8 GiB" in result.stdout
    assert "not timed" not in result.stdout


def test_a_link_is_shown_and_written(
    typed: Callable[..., Result],
    found: Callable[..., list[ProfileSettings]],
    linked: Callable[..., list[tuple[str, int]]],
    folder: Path,
) -> None:
    found(REPORT)
    asked = linked(LINK)
    result = typed("probe", "--server", "desk:7070", "--link-output", "link.yaml")
    assert (result.exit_code, result.stderr) == (0, "wrote link.yaml\n")
    assert asked == [("desk", 7070)]
    shown = figures(result)
    assert {label: shown[label] for label in ("up", "down", "round trip", "jitter", "loss")} == {
        "up": "8 Mbit/s",
        "down": "30 Mbit/s",
        "round trip": "50 ms",
        "jitter": "2 ms",
        "loss": "1.50%",
    }
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert read_contract(Link, folder / "link.yaml") == LINK.link()
    fleet = folder / "fleet.yaml"
    text = fleet.read_text(encoding="utf-8")
    fleet.write_text(text.replace("link: *wire", "link: link.yaml", 1), encoding="utf-8")
    assert read_fleet(fleet).clients[0].link == LINK.link()
    printed = json.loads(typed("probe", "--server", "desk:7070", "--json").stdout)
    assert Link.model_validate(printed["link"]) == LINK.link()
    assert LinkReport.model_validate(printed["link_report"]) == LINK


def test_an_unknown_loss_is_said(
    typed: Callable[..., Result],
    found: Callable[..., list[ProfileSettings]],
    linked: Callable[..., list[tuple[str, int]]],
) -> None:
    found(REPORT)
    linked(LINK.model_copy(update={"loss": None, "notes": ("UDP is blocked",)}))
    result = typed("probe", "--server", "desk:7070")
    assert figures(result)["loss"] == "unknown"
    assert "note: UDP is blocked" in result.stdout


def test_a_server_that_does_not_answer_ends_it_before_anything_is_timed(
    typed: Callable[..., Result],
    found: Callable[..., list[ProfileSettings]],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> None:
    def refuse(host: str, port: int) -> LinkReport:
        raise UnreachableError(f"{host}:{port}: Connection refused", "start it")

    asked = found(REPORT)
    monkeypatch.setattr("flexp.profiler.link_probe.measure_link", refuse)
    result = typed("probe", "--server", "desk:7070", "-o", "device.yaml")
    assert (result.exit_code, asked) == (15, [])
    assert result.stderr.startswith("error: desk:7070: Connection refused")
    assert not (folder / "device.yaml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--server desk", "--server: expected HOST:PORT"),
        ("--link-output link.yaml", "--link-output: there is no link"),
        ("--server desk:7070 --link-output link.txt", "--link-output: link.txt ends in"),
        ("--listen 99999", "--listen: expected [HOST:]PORT"),
        ("--listen 7070 --server desk:7070", "--server: has no effect with --listen"),
        ("--listen 7070 -o device.yaml", "--output: has no effect with --listen"),
        ("--listen 7070 --json", "--json: has no effect with --listen"),
    ],
)
def test_options_that_do_not_fit(typed: Callable[..., Result], words: str, said: str) -> None:
    result = typed("probe", *words.split())
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.startswith(f"error: {said}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the console")
def test_a_listener_says_how_to_connect_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-c", "from flexp.cli.app import main; main()", "probe"]
    listening = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with listening:
        assert listening.stderr is not None
        said = [listening.stderr.readline() for _ in range(3)]
        address = said[1].split()[-1]
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10):
            listening.send_signal(signal.SIGINT)
            printed, rest = listening.communicate(timeout=30)
    assert said[1].strip() == f"flexp probe --server {address}"
    assert "Ctrl-C" in said[2]
    assert (listening.returncode, printed) == (0, "")
    assert rest.endswith("stopped\n")


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
    printed = json.loads(typed("probe", "--json").stdout)
    assert (printed["device"], printed["link"], printed["link_report"]) == (None, None, None)
