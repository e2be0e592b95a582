from __future__ import annotations

import pytest
from flexp.errors import FieldError, UnknownNameError
from flexp.planner.inventory.columns import HEADERS, UNITS, USUAL, find_columns

# header, field, unit of its numbers
UNDERSTOOD = [
    ("Hostname", "name", ""),
    ("COMPUTER NAME", "name", ""),
    ("Qty", "count", ""),
    ("device_type", "device", ""),
    ("RAM", "ram", ""),
    ("RAM (GB)", "ram", "GB"),
    ("Installed RAM [gib]", "ram", "GiB"),
    ("ram_gb", "ram", "GB"),
    ("Upload Mbps", "up", "Mbps"),
    ("down-mbit/s", "down", "Mbit/s"),
    ("Ping (ms)", "rtt", "ms"),
    ("Speed (GFLOPS)", "flops", "GFLOPS"),
    ("min_depth", "min_depth", ""),
]


@pytest.mark.parametrize(("header", "field", "unit"), UNDERSTOOD)
def test_headers(header: str, field: str, unit: str) -> None:
    column = find_columns(["Serial", header], {}, "")[field]
    assert (column.field, column.unit, str(column)) == (field, unit, f"column 2 ({header})")


@pytest.mark.parametrize("header", ["Serial", "RAM (slots)", "ram speed", "Name (GB)", ""])
def test_headers_that_hold_something_else(header: str) -> None:
    assert find_columns([header], {}, "") == {}


def test_what_is_said_goes_before_what_is_understood() -> None:
    headers = ["Model", "Our class", "Size (GB)"]
    found = find_columns(headers, {"device": "Our class", "ram": "Size (GB)", "name": ""}, "")
    assert {field: column.index for field, column in found.items()} == {"device": 1, "ram": 2}
    assert found["ram"].unit == "GB"


def test_an_empty_header_leaves_a_field_out() -> None:
    assert find_columns(["Model", "GPU"], {"gpu": ""}, "").keys() == {"device"}


def test_two_columns_of_one_field() -> None:
    with pytest.raises(FieldError) as caught:
        find_columns(["Model", "Device type"], {}, "a.csv:1: ")
    assert caught.value.message == (
        "a.csv:1: column 1 (Model) and column 2 (Device type) may both be the device"
    )
    assert "--column 'device=Device type'" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"devise": "Model"}, "--column: unknown field 'devise'"),
        ({"device": "Modell"}, "a.csv:1: --column device: unknown column 'Modell'"),
    ],
)
def test_what_is_said_must_exist(given: dict[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_columns(["Model"], given, "a.csv:1: ")
    assert caught.value.message == message


def test_every_quantity_has_a_unit_to_suggest() -> None:
    assert USUAL.keys() == UNITS.keys() <= HEADERS.keys()
    assert all(unit in UNITS[field] for field, unit in USUAL.items())
