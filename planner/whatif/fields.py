"""What a scenario may set: the figures of clients, servers and links, by the names that people
use, with their units and how they are written into a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from ...catalog.device import Device, Link
from ...catalog.files import Contract
from ...catalog.units import BITS_PER_SECOND, BYTES, FLOPS_PER_SECOND, SECONDS, WATTS
from ..fleet import ResolvedClient, ResolvedServer
from .amount import Amount

Owner = ResolvedClient | ResolvedServer
Holder = TypeVar("Holder", ResolvedClient, ResolvedServer)
C = TypeVar("C", bound=Contract)


@dataclass(frozen=True)
class Field:
    """One figure of an owner's device, link or entry."""

    part: str
    """device, link, or "" for the entry itself."""
    name: str
    units: dict[str, float]
    whole: bool = False


DEVICE = {
    "ram": Field("device", "ram_bytes", BYTES, whole=True),
    "memory": Field("device", "usable_memory_bytes", BYTES, whole=True),
    "speed": Field("device", "training_flops_per_second", FLOPS_PER_SECOND),
    "watts": Field("device", "watts", WATTS),
}
LINK = {
    "up": Field("link", "up_bits_per_second", BITS_PER_SECOND),
    "down": Field("link", "down_bits_per_second", BITS_PER_SECOND),
    "rtt": Field("link", "rtt_seconds", SECONDS),
    "budget": Field("link", "data_budget_bytes", BYTES, whole=True),
}
CLIENT = {
    **DEVICE,
    **LINK,
    "count": Field("", "count", {}, whole=True),
    "min_depth": Field("", "min_depth", {}, whole=True),
    "max_depth": Field("", "max_depth", {}, whole=True),
    "weight": Field("", "weight", {}),
}
SERVER = {
    **DEVICE,
    **{name: field for name, field in LINK.items() if name != "budget"},
    "count": Field("", "count", {}, whole=True),
    "accelerators": Field("", "accelerators", {}, whole=True),
    "watts": Field("", "energy_watts", WATTS),
    "cost_per_hour": Field("", "cost_per_hour", {}),
}


def set_figure(owner: Holder, field: Field, amount: Amount) -> Holder:
    """The owner with that figure changed. More `ram` is more usable memory: what the system takes
    stays; more `memory` is more RAM where it needs it. Raises ValueError."""
    record: Contract = getattr(owner, field.part) if field.part else owner
    old = getattr(record, field.name)
    if old is None and amount.relative:
        raise ValueError(f"{owner.name} has no {field.name} that could change; give a value")
    new: float = amount.of(old or 0)
    if field.whole:
        if not field.units and abs(new - round(new)) > 1e-9:
            raise ValueError(f"{field.name} of {owner.name} would be {new:g}, not a whole number")
        new = round(new)
    update: dict[str, Any] = {field.name: new}
    if isinstance(record, Device):
        if field.name == "ram_bytes":
            update["usable_memory_bytes"] = record.usable_memory_bytes + round(new) - round(old)
        elif field.name == "usable_memory_bytes":
            update["ram_bytes"] = max(record.ram_bytes, round(new))
    changed = validated(record, update)
    return owner.model_copy(update={field.part: changed}) if field.part else changed  # type: ignore[return-value]


def validated(record: C, update: dict[str, Any]) -> C:
    """`record` with these fields, checked as a file's would be; raises ValueError."""
    try:
        return type(record).model_validate({**dict(record), **update})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or record.__class__.__name__.lower()
        text = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{field}: {text}") from None


def with_device(owner: Holder, device: Device) -> Holder:
    return owner.model_copy(update={"device": device})


def with_link(owner: Holder, link: Link) -> Holder:
    return owner.model_copy(update={"link": link})
