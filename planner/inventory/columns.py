"""Which column of an inventory holds what: by its header, or as the person says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...catalog.units import BITS_PER_SECOND, BYTES, FLOPS_PER_SECOND, SECONDS, WATTS
from ...errors import FieldError, UnknownNameError

HEADERS: dict[str, tuple[str, ...]] = {
    "name": ("name", "hostname", "host", "device name", "computer", "computer name", "asset"),
    "count": ("count", "quantity", "qty", "number", "pieces"),
    "site": ("site", "location", "office", "branch", "region"),
    "device": ("device", "device type", "type", "model"),
    "cpu": ("cpu", "processor", "chip"),
    "gpu": ("gpu", "graphics card", "accelerator"),
    "ram": ("ram", "memory", "installed ram", "installed memory"),
    "usable": ("usable", "usable memory", "usable ram"),
    "flops": ("flops", "speed", "training speed"),
    "watts": ("watts", "power"),
    "link": ("link", "link type", "connection", "network"),
    "up": ("up", "upload", "uplink", "up rate"),
    "down": ("down", "download", "downlink", "down rate"),
    "rtt": ("rtt", "round trip", "latency", "ping"),
    "budget": ("budget", "data budget", "data plan"),
    "min_depth": ("min depth",),
    "max_depth": ("max depth",),
    "optional": ("optional",),
}
"""Field to the headers that are understood, in lower case, "_" and "-" being blanks."""

UNITS: dict[str, dict[str, float]] = {
    "ram": BYTES,
    "usable": BYTES,
    "flops": FLOPS_PER_SECOND,
    "watts": WATTS,
    "up": BITS_PER_SECOND,
    "down": BITS_PER_SECOND,
    "rtt": SECONDS,
    "budget": BYTES,
}

USUAL = {
    "ram": "GB",
    "usable": "GB",
    "flops": "GFLOP/s",
    "watts": "W",
    "up": "Mbit/s",
    "down": "Mbit/s",
    "rtt": "ms",
    "budget": "GB",
}
"""A unit to suggest."""

_BRACKETED = re.compile(r"(.*?)\s*[(\[]\s*([^)\]]+?)\s*[)\]]\s*")
_LAST_WORD = re.compile(r"(.*\S)[\s_-]+(\S+)")


@dataclass(frozen=True)
class Column:
    field: str
    index: int
    """From 0; people count from 1."""
    header: str
    unit: str = ""
    """Of numbers that have none of their own, from a header such as "RAM (GB)" or "ram_gb"."""

    def __str__(self) -> str:
        return f"column {self.index + 1} ({self.header})"


def find_columns(headers: Sequence[str], given: Mapping[str, str], where: str) -> dict[str, Column]:
    """Field to its column; `given` maps fields to headers and goes before the known headers, an
    empty header leaves the field out. `where` begins the messages.

    Raises FieldError for a field with two columns, UnknownNameError for what `given` names and is
    no field or header.
    """
    for field, header in given.items():
        if field not in HEADERS:
            raise UnknownNameError("field", field, list(HEADERS), "--column: ")
        if header and header not in headers:
            raise UnknownNameError("column", header, list(headers), f"{where}--column {field}: ")
    found: dict[str, Column] = {}
    for index, header in enumerate(headers):
        asked = next((field for field, name in given.items() if name == header), None)
        column = _column(index, header, asked)
        if column is None or (asked is None and column.field in given):
            continue
        if column.field in found:
            raise FieldError(
                f"{where}{found[column.field]} and {column} may both be the {column.field}",
                f"say which with --column '{column.field}={header}'",
            )
        found[column.field] = column
    return found


def _column(index: int, header: str, asked: str | None) -> Column | None:
    """None for a header that is not understood."""
    for text, unit in ((header, ""), *_with_unit(header)):
        field = asked or _field_of(text)
        if field is None:
            continue
        if not unit and asked is None:
            return Column(field, index, header)
        known = {name.lower(): name for name in UNITS.get(field, {})}
        if unit.lower() in known:
            return Column(field, index, header, known[unit.lower()])
    return Column(asked, index, header) if asked else None


def _with_unit(header: str) -> list[tuple[str, str]]:
    """Ways to read a header as a name and a unit."""
    matches = (pattern.fullmatch(header) for pattern in (_BRACKETED, _LAST_WORD))
    return [(match[1], match[2]) for match in matches if match]


def _field_of(text: str) -> str | None:
    words = " ".join(re.split(r"[\s_-]+", text.strip().lower()))
    return next((field for field, headers in HEADERS.items() if words in headers), None)
