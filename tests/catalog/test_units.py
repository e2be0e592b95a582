"""Quantities as people write them, and as they read them: three digits, and never an exponent
between two units."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from flexp.catalog.units import (
    BitsPerSecond,
    Bytes,
    FlopsPerSecond,
    Seconds,
    WattHours,
    Watts,
    format_bytes,
    format_flops,
)
from pydantic import TypeAdapter, ValidationError


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


QUANTITIES = [
    (Bytes, "8 GiB", 8 * 2**30),
    (Bytes, "8GB", 8 * 10**9),
    (Bytes, "1.5 KiB", 1536),
    (Bytes, 512, 512),
    (BitsPerSecond, "20 Mbit/s", 2e7),
    (BitsPerSecond, "20 Mbps", 2e7),
    (FlopsPerSecond, "40 GFLOP/s", 4e10),
    (FlopsPerSecond, "1.2 TFLOPS", 1.2e12),
    (Seconds, "35 ms", 0.035),
    (Seconds, "2 min", 120),
    (Seconds, 0, 0),
    (Watts, "65 W", 65),
    (WattHours, "1.2 kWh", 1200),
]


@pytest.mark.parametrize(("kind", "written", "value"), QUANTITIES)
def test_quantities_as_people_write_them(kind: Any, written: object, value: float) -> None:
    assert TypeAdapter(kind).validate_python(written) == pytest.approx(value, rel=1e-12)
    jsonschema.validate(written, TypeAdapter(kind).json_schema())


WRONG = [
    (Bytes, "8 GB/s", "did you mean GB?"),
    (Bytes, "eight GiB", "expected a number with one of the units B, kB"),
    (Bytes, "-8 GiB", "greater than 0"),
    (Bytes, "1e999 B", "too large"),
    (Bytes, float("inf"), "finite"),
    (Bytes, True, "expected a number"),
    (BitsPerSecond, "20 Mbit", "did you mean Mbit/s?"),
    (BitsPerSecond, "1e999 bit/s", "too large"),
    (FlopsPerSecond, float("inf"), "finite"),
    (FlopsPerSecond, "3 GHz", "FLOP/s"),
    (Seconds, "35 lightyears", "us, ms, s"),
    (Seconds, float("nan"), "greater than or equal to 0"),
    (Seconds, -1, "greater than or equal to 0"),
]


@pytest.mark.parametrize(("kind", "written", "message"), WRONG)
def test_wrong_quantities(kind: Any, written: object, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        TypeAdapter(kind).validate_python(written)
    if isinstance(written, str) and message not in ("too large",):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(written, TypeAdapter(kind).json_schema())
