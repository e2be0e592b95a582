"""Quantities as people write them ("8 GiB", "20 Mbit/s", "35 ms") and back, in base units."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_DECIMAL = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _scaled(suffix: str, prefixes: dict[str, float]) -> dict[str, float]:
    return {prefix + suffix: factor for prefix, factor in prefixes.items()}


BYTES = _scaled("B", {**_DECIMAL, **_BINARY})
BITS_PER_SECOND = {**_scaled("bit/s", _DECIMAL), **_scaled("bps", _DECIMAL)}
FLOPS_PER_SECOND = {**_scaled("FLOP/s", _DECIMAL), **_scaled("FLOPS", _DECIMAL)}
BYTES_PER_SECOND = _scaled("B/s", _DECIMAL)
HERTZ = _scaled("Hz", _DECIMAL)
WATTS = _scaled("W", _DECIMAL)
WATT_HOURS = _scaled("Wh", _DECIMAL)
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_QUANTITY = re.compile(r"\s*([-+]?\d+(?:[_\d]*)(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


def parse(value: object, units: dict[str, float]) -> object:
    """`value` in base units: numbers pass through, strings are a number and one of `units`.

    Raises ValueError with the units that are understood.
    """
    if isinstance(value, bool):
        raise ValueError(f"expected a number with one of the units {', '.join(units)}")
    if not isinstance(value, str):
        return value
    match = _QUANTITY.fullmatch(value)
    if match is None or (match[2] and match[2] not in units):
        close = get_close_matches(match[2], units, n=1, cutoff=0.5) if match else []
        suggestion = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"expected a number with one of the units {', '.join(units)}{suggestion}")
    number = float(match[1]) * units.get(match[2], 1.0)
    if not math.isfinite(number):
        raise ValueError("expected a number that is not too large")
    return number


def _parser(units: dict[str, float], whole: bool = False) -> Callable[[object], object]:
    def validate(value: object) -> object:
        number = parse(value, units)
        if whole and isinstance(number, float) and math.isfinite(number):
            return round(number)
        return number

    return validate


def _schema(
    units: dict[str, float], example: str, above: str = "exclusiveMinimum"
) -> WithJsonSchema:
    """A quantity for editors: a number in base units, or text with a unit."""
    text = rf"^\s*\+?\d[_\d]*(\.\d+)?([eE][-+]?\d+)?\s*({'|'.join(units)})?\s*$"
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", above: 0},
                {"type": "string", "pattern": text, "examples": [example]},
            ]
        },
        mode="validation",
    )


_POSITIVE = Field(gt=0, allow_inf_nan=False)

Bytes = Annotated[
    int, BeforeValidator(_parser(BYTES, whole=True)), Field(gt=0), _schema(BYTES, "8 GiB")
]
BitsPerSecond = Annotated[
    float,
    BeforeValidator(_parser(BITS_PER_SECOND)),
    _POSITIVE,
    _schema(BITS_PER_SECOND, "20 Mbit/s"),
]
FlopsPerSecond = Annotated[
    float,
    BeforeValidator(_parser(FLOPS_PER_SECOND)),
    _POSITIVE,
    _schema(FLOPS_PER_SECOND, "40 GFLOP/s"),
]
BytesPerSecond = Annotated[
    float,
    BeforeValidator(_parser(BYTES_PER_SECOND)),
    _POSITIVE,
    _schema(BYTES_PER_SECOND, "25.6 GB/s"),
]
Hertz = Annotated[float, BeforeValidator(_parser(HERTZ)), _POSITIVE, _schema(HERTZ, "2.4 GHz")]
Watts = Annotated[float, BeforeValidator(_parser(WATTS)), _POSITIVE, _schema(WATTS, "15 W")]
WattHours = Annotated[
    float, BeforeValidator(_parser(WATT_HOURS)), _POSITIVE, _schema(WATT_HOURS, "5 Wh")
]
Seconds = Annotated[
    float,
    BeforeValidator(_parser(SECONDS)),
    Field(ge=0, allow_inf_nan=False),
    _schema(SECONDS, "35 ms", "minimum"),
]


def _format(value: float, unit: str, steps: list[tuple[float, str]]) -> str:
    factor, prefix = next((step for step in steps if abs(value) >= step[0]), (1.0, ""))
    scaled = value / factor
    digits = 4 if abs(scaled) >= 999.5 else 3  # 1023 MiB is not 1.02e+03 MiB
    return f"{scaled:.{digits}g} {prefix}{unit}"


_BINARY_STEPS = [(2.0**40, "Ti"), (2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki")]
_DECIMAL_STEPS = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]


def format_bytes(value: float) -> str:
    """3221225472 -> "3 GiB"."""
    return _format(value, "B", _BINARY_STEPS)


def format_flops(value: float) -> str:
    """1.36e9 -> "1.36 GFLOP"."""
    return _format(value, "FLOP", _DECIMAL_STEPS)


def format_bit_rate(value: float) -> str:
    """2e7 -> "20 Mbit/s"."""
    return _format(value, "bit/s", _DECIMAL_STEPS)


def format_byte_rate(value: float) -> str:
    """1.71e10 -> "17.1 GB/s"."""
    return _format(value, "B/s", _DECIMAL_STEPS)


def format_hertz(value: float) -> str:
    """2.4e9 -> "2.4 GHz"."""
    return _format(value, "Hz", _DECIMAL_STEPS)


def format_seconds(value: float) -> str:
    """0.0354 -> "35.4 ms"; 200 -> "3.33 min"."""
    for factor, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value * 1e6:.3g} us"
