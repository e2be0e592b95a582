"""Quantities as people read them: three digits, and never an exponent between two units."""

from __future__ import annotations

import pytest
from flexp.catalog.units import format_bytes, format_flops


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1000 B"),
        (1024, "1 KiB"),
        (1.5 * 2**20, "1.5 MiB"),
        (999.6 * 2**20, "999.6 MiB"),
        (1023.7 * 2**20, "1024 MiB"),
        (3 * 2**30, "3 GiB"),
    ],
)
def test_format_bytes(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 FLOP"), (999_400, "999 kFLOP"), (999_700, "999.7 kFLOP"), (1.36e9, "1.36 GFLOP")],
)
def test_format_flops(value: float, text: str) -> None:
    assert format_flops(value) == text
