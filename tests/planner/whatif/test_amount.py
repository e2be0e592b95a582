"""Amounts and sweeps as people write them."""

from __future__ import annotations

import pytest
from flexp.catalog.units import BITS_PER_SECOND, BYTES
from flexp.planner.whatif.amount import parse_amount, product_of, sweep_values

GiB = 2**30


@pytest.mark.parametrize(
    ("text", "units", "old", "new"),
    [
        ("+4GiB", BYTES, 8 * GiB, 12 * GiB),
        ("-4 GiB", BYTES, 8 * GiB, 4 * GiB),
        ("16 GiB", BYTES, 8 * GiB, 16 * GiB),
        ("x2", BITS_PER_SECOND, 3e6, 6e6),
        ("×0.5", BITS_PER_SECOND, 3e6, 1.5e6),
        ("+10%", BITS_PER_SECOND, 3e6, 3.3e6),
        ("-25 %", BITS_PER_SECOND, 4e6, 3e6),
        ("+10 Mbit/s", BITS_PER_SECOND, 3e6, 13e6),
        ("7", {}, 3, 7),
        ("+1", {}, 3, 4),
    ],
)
def test_amount(text: str, units: dict[str, float], old: float, new: float) -> None:
    assert parse_amount(text, units).of(old) == pytest.approx(new, rel=1e-12)


@pytest.mark.parametrize("text", ["4 bananas", "xx2", "", "+", "x", "%", "--4GiB", "x2GiB"])
def test_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse_amount(text, BYTES)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x2", ["x2"]),
        ("2GiB,4GiB, 8GiB", ["2GiB", "4GiB", "8GiB"]),
        ("x0.5..x2/4", ["x0.5", "x1", "x1.5", "x2"]),
        ("+1GiB..+4GiB/4", ["+1GiB", "+2GiB", "+3GiB", "+4GiB"]),
        ("-50%..+50%/3", ["-50%", "+0%", "+50%"]),
        ("5..20Mbit/s/4", ["5Mbit/s", "10Mbit/s", "15Mbit/s", "20Mbit/s"]),
        ("1..4", ["1", "2", "3", "4"]),
        ("+1..+3", ["+1", "+2", "+3"]),
        ("1..2,x3", ["1", "2", "x3"]),
    ],
)
def test_sweep(text: str, values: list[str]) -> None:
    assert list(sweep_values(text)) == values


@pytest.mark.parametrize(
    "text", ["x1..3/4", "+1..3", "1GiB..4GiB", "1.5..3", "4..1", "a..b", "1..9/1", "1..9/2000"]
)
def test_no_sweep(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.\."):
        sweep_values(text)


def test_every_combination() -> None:
    found = product_of({"a": ("1", "2"), "b": ("3",), "c": ("4", "5")})
    assert [tuple(one.values()) for one in found] == [
        *(("1", "3", "4"), ("1", "3", "5"), ("2", "3", "4"), ("2", "3", "5"))
    ]
    with pytest.raises(ValueError, match="10,000 scenarios"):
        product_of({"a": ("1",) * 100, "b": ("1",) * 100})
