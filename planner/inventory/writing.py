"""A fragment of a fleet file as text: quantities as people write them, members in comments."""

from __future__ import annotations

import textwrap

import yaml

from ...catalog.units import (
    BITS_PER_SECOND,
    BYTES,
    FLOPS_PER_SECOND,
    SECONDS,
    WATTS,
    parse,
)
from .classes import Imported

WIDTH = 100
_MEMORY = ("GiB", "GB", "MiB", "MB")
QUANTITIES: dict[str, tuple[dict[str, float], tuple[str, ...]]] = {
    "ram_bytes": (BYTES, _MEMORY),
    "usable_memory_bytes": (BYTES, _MEMORY),
    "runtime_bytes": (BYTES, _MEMORY),
    "data_budget_bytes": (BYTES, ("GB", "MB", "GiB", "MiB")),
    "training_flops_per_second": (FLOPS_PER_SECOND, ("TFLOP/s", "GFLOP/s")),
    "up_bits_per_second": (BITS_PER_SECOND, ("Gbit/s", "Mbit/s", "kbit/s")),
    "down_bits_per_second": (BITS_PER_SECOND, ("Gbit/s", "Mbit/s", "kbit/s")),
    "rtt_seconds": (SECONDS, ("s", "ms")),
    "watts": (WATTS, ("W",)),
}
"""Field to its units, and those to write it with, the first that suits."""


def fragment_text(imported: Imported, title: str) -> str:
    """YAML that a fleet file can include; `title` is its first comment."""
    fragment = imported.fragment
    parts = [textwrap.indent(textwrap.fill(title, WIDTH - 2), "# ") + "\n"]
    for key, entries in (("devices", fragment.devices), ("links", fragment.links)):
        if entries:
            figures = {
                name: _readable(entry.model_dump(exclude={"name"}, exclude_none=True))
                for name, entry in entries.items()
            }
            parts.append(_yaml({key: figures}))
    clients = ["clients:\n"]
    for client in fragment.clients:
        record = client.model_dump(exclude_defaults=True)
        clients.append(_members(imported.members.get(client.name, ())))
        clients.append(textwrap.indent(_yaml([record]), "  "))
    return "\n".join([*parts, "".join(clients)])


def _members(names: tuple[str, ...]) -> str:
    """Who the members of a class are, in order, as a comment."""
    if not names:
        return ""
    text = "in order: " + ", ".join(names)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    lines = textwrap.wrap(text, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return "".join(f"  # {line}\n" for line in lines)


def _readable(figures: dict[str, object]) -> dict[str, object]:
    """Quantities with the first unit of which there is at least one, and no digit is lost."""
    shown = dict(figures)
    for field, (units, preferred) in QUANTITIES.items():
        value = figures.get(field)
        if not isinstance(value, int | float):
            continue
        written = (f"{value / units[unit]:g} {unit}" for unit in preferred if value >= units[unit])
        exact = (text for text in written if parse(text, units) == value)
        shown[field] = next(exact, value)
    return shown


def _yaml(data: object) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=WIDTH)
