import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from flexp.profiler import other_work
from flexp.profiler.link_listener import own_addresses
from flexp.profiler.other_work import OtherWork
from flexp.profiler.power import PowerReport, power_state
from flexp.profiler.spread import Spread

CPU0 = "devices/system/cpu/cpu0/cpufreq"
PROFILE = "firmware/acpi/platform_profile"


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("battery", "percent", "on_battery"),
    [
        (None, None, None),
        (SimpleNamespace(percent=61.5, power_plugged=False), 61.5, True),
        (SimpleNamespace(percent=100, power_plugged=True), 100, False),
        (SimpleNamespace(percent=80, power_plugged=None), 80, None),
    ],
)
def test_batteries(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    battery: SimpleNamespace | None,
    percent: float | None,
    on_battery: bool | None,
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    found = power_state(tmp_path)
    assert (found.battery_percent, found.on_battery, found.saving) == (percent, on_battery, None)
    assert (found.note is not None) is bool(on_battery)


@pytest.mark.parametrize(
    ("files", "saving"),
    [
        ({}, None),
        ({f"{CPU0}/scaling_governor": "performance"}, ""),
        ({f"{CPU0}/scaling_governor": "powersave"}, "governor powersave"),
        (
            {f"{CPU0}/scaling_governor": "powersave", f"{CPU0}/scaling_driver": "intel_pstate"},
            "",  # its usual governor
        ),
        ({f"{CPU0}/energy_performance_preference": "power"}, "energy preference power"),
        ({f"{CPU0}/energy_performance_preference": "balance_performance"}, ""),
        ({PROFILE: "low-power"}, "platform profile low-power"),
        ({PROFILE: "balanced"}, ""),
    ],
)
def test_power_saving(tmp_path: Path, files: dict[str, str], saving: str | None) -> None:
    assert power_state(tree(tmp_path, files)).saving == saving


def test_the_note_names_every_reason() -> None:
    note = PowerReport(battery_percent=40, on_battery=True, saving="governor powersave").note
    assert note is not None
    assert note.startswith(
        "the machine ran on battery (40%) and was saving power (governor powersave)"
    )


def test_a_system_without_battery_sensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    assert power_state(tmp_path).on_battery is None


def test_what_may_not_be_read_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Android, where apps see neither batteries nor the cores' counters."""

    def denied() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(psutil, "sensors_battery", denied, raising=False)
    monkeypatch.setattr(psutil, "cpu_times", denied)
    monkeypatch.setattr(psutil, "net_if_addrs", denied)
    assert power_state(tmp_path).on_battery is None
    assert OtherWork().cores() is None
    assert own_addresses() == []


def test_other_work_is_what_is_neither_idle_nor_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4 cores in 10 s: 25 core-seconds idle, 5 own, hence 1 core busy with other work."""
    counters = iter([(100.0, 1000.0, 50.0), (110.0, 1025.0, 55.0)])
    monkeypatch.setattr(other_work, "_counters", lambda: next(counters))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    assert OtherWork().cores() == pytest.approx(1.0)


def test_other_work_of_this_machine() -> None:
    watch = OtherWork()
    assert watch.cores() is None  # too early
    time.sleep(0.15)
    found = watch.cores()
    assert found is not None
    assert 0 <= found <= (psutil.cpu_count() or 1) + 1


def test_a_spread() -> None:
    assert Spread.of([6.0, 1.0, 2.0]) == Spread(min=1, median=2, max=6, samples=3)
    assert Spread.of([]) is None
