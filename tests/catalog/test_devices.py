"""The entries of data/devices: complete, within what is plausible, and derived as they say."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from flexp.catalog.device_type import DeviceType, Kind, format_uncertainty
from flexp.catalog.devices import (
    device_names,
    device_type,
    device_types,
    find_device_type,
    link_names,
)
from flexp.catalog.speed_rules import speed_rules
from flexp.errors import UnknownNameError
from pydantic import ValidationError

DATA = Path(__file__).parents[2] / "catalog" / "data"
GIB = 2**30
ENTRIES = device_types()
IDS = device_names()

FACTS: dict[str, Any] = {
    "name": "toaster",
    "kind": "board",
    "title": "A toaster",
    "year": 2020,
    "ram_bytes": "4 GiB",
    "memory_bytes_per_second": "10 GB/s",
    "processors": [
        {"name": "big", "units": 2, "clock_hertz": "2 GHz", "flops_per_cycle": 16},
        {"name": "small", "units": 4, "clock_hertz": "500 MHz", "flops_per_cycle": 8},
    ],
    "rule": "arm",
    "power_watts": "0.9 kW",
    "price": {"amount": "29.90", "currency": "EUR", "year": 2021, "basis": "list"},
    "links": ["lte"],
    "sources": ["https://example.org"],
}


def test_every_kind_has_its_file_and_names_are_unique() -> None:
    assert {path.stem for path in (DATA / "devices").glob("*.yaml")} == set(get_args(Kind))
    listed = [
        (path.stem, name)
        for path in (DATA / "devices").glob("*.yaml")
        for name in re.findall(r"^  - name: (\S+)$", path.read_text(encoding="utf-8"), re.M)
    ]
    assert Counter(name for _, name in listed) == Counter(device_names())
    assert sorted(listed) == sorted((entry.kind, entry.name) for entry in ENTRIES)
    assert len(listed) >= 50
    assert min(Counter(kind for kind, _ in listed).values()) >= 5


def test_names_that_fleets_use() -> None:
    known = {
        *("pi-4", "pi-5", "jetson-nano", "jetson-orin-nano", "tablet-sd778g", "laptop-2015"),
        *("laptop-2019", "laptop-2023", "laptop-m1", "workstation", "cpu-server"),
        *("gpu-server-t4", "gpu-server-l4"),
    }
    assert known <= set(device_names())


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_an_entry_is_complete_and_plausible(entry: DeviceType) -> None:
    assert all(source.startswith(("https://", "http://")) for source in entry.sources)
    assert set(entry.links) <= set(link_names())
    assert 2012 < entry.year <= entry.price.year <= 2025
    assert 20 < entry.price.amount < 50_000
    assert 3 <= entry.power_watts <= 800
    assert 3e9 < entry.memory_bytes_per_second < 6e12
    assert 2.5e10 < entry.peak_flops_per_second < 2e14
    assert 0 < entry.uncertainty < 20
    assert (entry.accelerator is not None) == (entry.kind in ("gpu", "jetson"))
    device = entry.device()
    assert device.name == entry.name
    assert device.runtime_bytes < device.usable_memory_bytes < device.ram_bytes
    assert (device.cores is None) == (entry.kind == "gpu")


def test_a_gpu_is_much_faster_than_a_cpu_and_a_phone_much_slower() -> None:
    speeds: dict[str, list[float]] = {}
    for entry in ENTRIES:
        speeds.setdefault(entry.kind, []).append(entry.training_flops_per_second)
    assert min(speeds["gpu"]) > max(speeds["laptop"])
    assert max(speeds["phone"]) < min(speeds["laptop"])


# name, peak and sustained GFLOP/s, usable memory, runtime in MiB, cores, GPU: by hand
BY_HAND = [
    ("pi-5", 4 * 2.4 * 16, 46.08, 7 * GIB, 400, 4, None),
    ("pi-3", 4 * 1.4 * 8, 13.44, 768 * 2**20, 400, 4, None),
    ("rock-5b", 4 * 2.4 * 16 + 4 * 1.8 * 8, 63.36, 15 * GIB, 400, 8, None),
    ("laptop-2019", 4 * 1.6 * 32, 102.4, 4 * GIB, 400, 4, None),
    ("laptop-m1", 4 * 3.2 * 32, 204.8, 4 * GIB, 400, 8, None),
    ("desktop-2025", 8 * 3.8 * 64, 680.96, 16 * GIB, 400, 8, None),
    ("cpu-server", 32 * 3.25 * 32, 1664, 128 * GIB * 9 // 10, 400, 32, None),
    ("jetson-orin-nano", 1280, 512, 7 * GIB, 600, 6, "Ampere GPU, 1024 CUDA cores"),
    ("jetson-nano", 128 * 0.9216 * 2, 44, 3 * GIB, 600, 4, "Maxwell GPU, 128 CUDA cores"),
    ("tablet-sd778g", 38.4 + 105.6 + 60.8, 3.2, 3 * GIB, 400, 8, None),
    ("gpu-server-t4", 2560 * 1.59 * 2, 3256.32, 14_400_000_000, 600, None, "NVIDIA T4"),
]


@pytest.mark.parametrize(
    ("name", "peak", "speed", "usable", "runtime", "cores", "gpu"), BY_HAND, ids=lambda x: str(x)
)
def test_figures_by_hand(
    name: str, peak: float, speed: float, usable: int, runtime: int, cores: int | None, gpu: str
) -> None:
    device = device_type(name)
    assert find_device_type(name).peak_flops_per_second == pytest.approx(peak * 1e9)
    assert device.training_flops_per_second == pytest.approx(speed * 1e9)
    assert device.usable_memory_bytes == usable
    assert device.runtime_bytes == runtime * 2**20
    assert (device.cores, device.accelerator) == (cores, gpu)


# FP32 peaks that the makers state themselves, in TFLOP/s
@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("gpu-server-t4", 8.1),
        ("gpu-server-l4", 30.3),
        ("gpu-server-a10", 31.2),
        ("gpu-server-a100-40", 19.5),
        ("gpu-server-a100-80", 19.5),
        ("gpu-server-h100", 67),
        ("gpu-server-h200", 67),
        ("gpu-server-l40s", 91.6),
        ("gpu-server-a6000", 38.7),
        ("gpu-server-mi300x", 163.4),
    ],
)
def test_peaks_are_those_of_the_data_sheets(name: str, stated: float) -> None:
    assert find_device_type(name).peak_flops_per_second == pytest.approx(stated * 1e12, rel=0.01)


def test_the_derivation_says_every_step() -> None:
    source = DeviceType.model_validate(FACTS).device().source
    assert source == (
        "A toaster: 2 × 2 GHz × 16 FLOPs a cycle (big) + 4 × 500 MHz × 8 FLOPs a cycle (small) "
        "= 80 GFLOP/s FP32 peak; 0.3 of it (rule arm) is 24 GFLOP/s; ±50%. https://example.org"
    )


def test_a_measured_speed_replaces_the_rules() -> None:
    measured = {"training_flops_per_second": 5e9, "uncertainty": 0.1, "evidence": "We timed it."}
    entry = DeviceType.model_validate({**FACTS, "measured": measured})
    assert (entry.training_flops_per_second, entry.uncertainty) == (5e9, 0.1)
    assert entry.rule_flops_per_second == pytest.approx(24e9)
    assert entry.derivation.startswith("We timed it. The rule alone, not used: 2 × 2 GHz")
    assert (entry.power_watts, entry.price.amount) == (900, Decimal("29.90"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "toaster", "board"),
        ("power_watts", "20 bananas", "kW"),
        ("memory_bytes_per_second", "20 Gbit/s", "GB/s"),
        ("price", {**FACTS["price"], "amount": 29.9}, "in quotes"),
        ("price", {**FACTS["price"], "currency": "euro"}, "pattern"),
        ("sources", [], "at least 1"),
        ("processors", [], "at least 1"),
        ("colour", "red", "Extra"),
    ],
)
def test_bad_entries(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DeviceType.model_validate({**FACTS, field: value})


def test_every_rule_is_used_and_every_used_rule_exists() -> None:
    assert {entry.rule for entry in ENTRIES} == set(speed_rules())


def test_the_mobile_rule_is_the_measured_share_and_reaches_up_to_the_arm_rule() -> None:
    mobile, arm = speed_rules()["mobile"], speed_rules()["arm"]
    phone = find_device_type("phone-sd778g")
    assert mobile.training_share == pytest.approx(3.2e9 / phone.peak_flops_per_second, rel=0.03)
    assert mobile.training_share * (1 + mobile.uncertainty) == pytest.approx(
        arm.training_share, rel=0.02
    )


@pytest.mark.parametrize(
    ("uncertainty", "text"), [(0.3, "±30%"), (0.95, "±95%"), (18, "within a factor of 19")]
)
def test_uncertainty_in_words(uncertainty: float, text: str) -> None:
    assert format_uncertainty(uncertainty) == text


@pytest.mark.parametrize("find", [device_type, find_device_type])
def test_unknown_names(find) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnknownNameError) as raised:
        find("laptop-2018")
    assert raised.value.message == "unknown device type 'laptop-2018'"
    assert "laptop-2019" in raised.value.hint
