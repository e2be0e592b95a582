"""`flexp catalog`: lists that fit, filters, one entry in full, JSON, nothing heavy loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from flexp.catalog.datasets import dataset_names
from flexp.catalog.device import Device
from flexp.catalog.device_type import Kind
from flexp.catalog.devices import device_names, find_device_type, link_names
from flexp.catalog.models.entry import model_names
from flexp.cli.catalog import KindName, matching
from flexp.cli.catalog_display import gigaflops
from flexp.errors import UnknownNameError

from .conftest import Type
from .test_app import modules_after

NAMES = {
    "devices": device_names(),
    "links": link_names(),
    "models": model_names(),
    "data": dataset_names(),
}


def test_kinds_are_those_of_the_catalogue() -> None:
    assert get_args(KindName) == get_args(Kind)


@pytest.mark.parametrize("what", NAMES)
def test_a_list_has_every_name_and_fits(what: str, typed: Type) -> None:
    result = typed("catalog", what)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in result.stdout
    firsts = {line.split(" ")[0] for line in lines}
    assert set(NAMES[what]) <= firsts


@pytest.mark.parametrize("what", NAMES)
def test_every_entry_in_full_fits_and_names_its_source(what: str, typed: Type) -> None:
    for name in NAMES[what][:5] + NAMES[what][-5:]:
        result = typed("catalog", what, name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(name)
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert "http" in result.stdout.split("\nsource")[1]


@pytest.mark.parametrize("what", NAMES)
def test_json_is_a_list_of_the_entries(what: str, typed: Type) -> None:
    everything = json.loads(typed("catalog", what, "--json").stdout)
    assert [record["name"] for record in everything] == NAMES[what]
    one = json.loads(typed("catalog", what, NAMES[what][0], "--json").stdout)
    assert one == everything[:1]


def test_a_devices_json_holds_a_device_for_a_fleet(typed: Type) -> None:
    (record,) = json.loads(typed("catalog", "devices", "jetson-nano", "--json").stdout)
    entry = find_device_type("jetson-nano")
    assert Device.model_validate(record["device"]) == entry.device()
    assert record["price"] == {"amount": "99", "currency": "USD", "year": 2019, "basis": "list"}
    assert record["measured"]["uncertainty"] == record["uncertainty"] == 0.3
    assert record["rule_flops_per_second"] == pytest.approx(94.37e9, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "present", "absent"),
    [
        (["--kind", "laptop"], ["laptop-2013", "laptop-m4"], ["phone-2017", "desktop-2014"]),
        (["--min-ram", "64 GiB"], ["workstation", "gpu-server-a100-80"], ["laptop-2025", "pi-5"]),
        (["snapdragon"], ["phone-sd778g", "tablet-sd778g"], ["phone-pixel-8", "laptop-2019"]),
        (["APPLE m1"], ["laptop-m1", "tablet-ipad-air-m1"], ["laptop-m2", "tablet-ipad-10"]),
        (["apple", "--kind", "desktop", "--min-ram", "10 GB"], ["mac-mini-m4"], ["mac-mini-m2"]),
    ],
)
def test_filters(words: list[str], present: list[str], absent: list[str], typed: Type) -> None:
    result = typed("catalog", "devices", *words, "--json")
    found = {record["name"] for record in json.loads(result.stdout)}
    assert set(present) <= found
    assert not set(absent) & found


def test_the_models_of_a_family(typed: Type) -> None:
    out = typed("catalog", "models", "llama").stdout
    assert "llama-3-8b" in out
    assert "bert-base" not in out
    row = next(line for line in out.splitlines() if line.startswith("llama-3-8b"))
    assert row.split()[1:4] == ["llama", "32", "4096"]


def test_minilm_is_the_one_with_weights(typed: Type) -> None:
    lines = typed("catalog", "models").stdout.splitlines()
    assert next(line for line in lines if line.startswith("minilm-l6")).split()[-1] == "yes"
    assert next(line for line in lines if line.startswith("gpt2 ")).split()[-1] == "no"


def test_one_device_in_full(typed: Type) -> None:
    result = typed("catalog", "devices", "jetson-nano")
    shown = " ".join(result.stdout.split())
    for text in (
        "4 GiB, 3 GiB usable, 25.6 GB/s",
        "44 GFLOP/s in training, ±30%",
        "128 × 922 MHz × 2 FLOPs a cycle",
        "is 94.4 GFLOP/s",
        "99 USD in 2019 (list price)",
        "10 W under load",
        "https://arxiv.org/abs/2605.08636",
    ):
        assert text in shown


def test_nothing_found_says_what_to_try(typed: Type) -> None:
    words = ("catalog", "devices", "--kind", "phone", "--min-ram", "1 TiB")
    result = typed(*words)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "--kind phone, --min-ram 1 TiB: leave one out" in result.stderr
    assert typed(*words, "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["devices", "jetson-nono"], 6, ["unknown device type 'jetson-nono'", "jetson-nano"]),
        (["devices", "toaster"], 6, ["unknown device type 'toaster'", "another word"]),
        (["links", "lt-e"], 6, ["unknown link", "lte"]),
        (["models", "minilm-l7"], 6, ["unknown model", "minilm-l6"]),
        (["data", "20newsgroup-x"], 6, ["unknown data set", "20newsgroups"]),
        (["devices", "--min-ram", "8"], 5, ["--min-ram", "no unit", '"8 GiB"']),
        (["devices", "--min-ram", "8 bananas"], 5, ["--min-ram", "GiB", "8 bananas"]),
        (["devices", "--kind", "toaster"], 2, ["--kind", "laptop"]),
        (["toasters"], 2, ["toasters"]),
    ],
)
def test_bad_input(words: list[str], code: int, parts: list[str], typed: Type) -> None:
    result = typed("catalog", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def test_matching_looks_for_every_word() -> None:
    texts = {"a": "Red apple", "b": "red brick", "red": "a colour"}
    assert matching("thing", texts, None) == ["a", "b", "red"]
    assert matching("thing", texts, "RED") == ["a", "b"]
    assert matching("thing", texts, "red brick") == ["b"]
    assert matching("thing", texts, "red") == ["red"]
    with pytest.raises(UnknownNameError):
        matching("thing", texts, "red stone")


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (3.2e9, "3.2"),
        (46.08e9, "46.1"),
        (102.4e9, "102"),
        (1.664e12, "1,660"),
        (26.76e12, "26,800"),
    ],
)
def test_gigaflops(figure: float, text: str) -> None:
    assert gigaflops(figure) == text


@pytest.mark.parametrize("what", NAMES)
def test_no_torch_is_loaded(what: str, tmp_path: Path) -> None:
    _, loaded = modules_after(tmp_path, "catalog", what)
    assert not {"'torch'", "'transformers'", "'peft'"} & set(loaded.strip("[]").split(", "))
