"""Changes to a fleet, in words and applied: what is printed is exactly what is tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..catalog.units import (
    BITS_PER_SECOND,
    BYTES,
    FLOPS_PER_SECOND,
    SECONDS,
    WATT_HOURS,
    format_bit_rate,
    format_bytes,
    format_seconds,
    parse,
)
from .fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer

ROUND_UP = (1.0, 1.001, 1.002, 1.003, 1.004, 1.005)
"""Makes a figure of three digits at least what is needed."""


@dataclass(frozen=True)
class Change:
    text: str
    apply: Callable[[ResolvedFleet], ResolvedFleet]


def rounded_up(
    value: float, write: Callable[[float], str], units: dict[str, float]
) -> tuple[str, float]:
    """A figure of three digits that is at least `value`: as text, and what the text says."""
    texts = (write(value * factor) for factor in ROUND_UP)
    text = next(text for text in texts if _read(text, units) >= value)
    return text, _read(text, units)


def bytes_up(value: float) -> tuple[str, int]:
    text, number = rounded_up(value, format_bytes, BYTES)
    return text, math.ceil(number)


def seconds_up(value: float) -> tuple[str, float]:
    return rounded_up(value, format_seconds, SECONDS)


def bit_rate_up(value: float) -> tuple[str, float]:
    return rounded_up(value, format_bit_rate, BITS_PER_SECOND)


def format_speed(value: float) -> str:
    """2e10 -> "20 GFLOP/s"."""
    return format_bit_rate(value).replace("bit/s", "FLOP/s")


def speed_up(value: float) -> tuple[str, float]:
    return rounded_up(value, format_speed, FLOPS_PER_SECOND)


def watt_hours_up(value: float) -> tuple[str, float]:
    return rounded_up(value, lambda v: f"{v:.3g} Wh", WATT_HOURS)


def _read(text: str, units: dict[str, float]) -> float:
    number = parse(text, units)
    assert isinstance(number, float)
    return number


def policy_change(text: str, **update: object) -> Change:
    """The policy's fields as given."""

    def apply(fleet: ResolvedFleet) -> ResolvedFleet:
        return fleet.model_copy(update={"policy": fleet.policy.model_copy(update=update)})

    return Change(text, apply)


def codec_change(policy: Policy, codec: str) -> Change:
    before = " or ".join(policy.allowed_codecs)
    codecs = (*policy.allowed_codecs, codec)
    return policy_change(f"codec {codec} instead of {before}", codec=None, codecs=codecs)


def batch_change(policy: Policy, round_samples: int, batch: int) -> Change | None:
    """None where the policy allows no larger one, so that this would be none."""
    before = policy.batches or (round_samples,)
    if batch >= min(before):
        return None
    text = f"batch {batch} instead of {' or '.join(map(str, before))}"
    return policy_change(text, batches=(*before, batch))


def client_change(
    text: str, names: Collection[str], change: Callable[[ResolvedClient], ResolvedClient]
) -> Change:
    """The entries with these names changed, each in the same way."""

    def apply(fleet: ResolvedFleet) -> ResolvedFleet:
        clients = tuple(change(c) if c.name in names else c for c in fleet.clients)
        return fleet.model_copy(update={"clients": clients})

    return Change(text, apply)


def server_change(
    text: str, name: str, change: Callable[[ResolvedServer], ResolvedServer]
) -> Change:
    def apply(fleet: ResolvedFleet) -> ResolvedFleet:
        servers = tuple(change(s) if s.name == name else s for s in fleet.servers)
        return fleet.model_copy(update={"servers": servers})

    return Change(text, apply)


def with_memory(owner: ResolvedServer, usable_bytes: int) -> ResolvedServer:
    """The same with so much usable memory, and with RAM for it."""
    ram = max(owner.device.ram_bytes, usable_bytes)
    update = {"usable_memory_bytes": usable_bytes, "ram_bytes": ram}
    return owner.model_copy(update={"device": owner.device.model_copy(update=update)})


def with_more_memory(owner: ResolvedClient, more_bytes: int) -> ResolvedClient:
    usable = owner.device.usable_memory_bytes + more_bytes
    ram = max(owner.device.ram_bytes, usable)
    update = {"usable_memory_bytes": usable, "ram_bytes": ram}
    return owner.model_copy(update={"device": owner.device.model_copy(update=update)})


def with_link(owner: ResolvedServer, **update: float) -> ResolvedServer:
    return owner.model_copy(update={"link": owner.link.model_copy(update=update)})


def with_budget(owner: ResolvedClient, budget_bytes: int) -> ResolvedClient:
    link = owner.link.model_copy(update={"data_budget_bytes": budget_bytes})
    return owner.model_copy(update={"link": link})


def with_speed(owner: ResolvedServer, flops_per_second: float) -> ResolvedServer:
    update = {"training_flops_per_second": flops_per_second}
    return owner.model_copy(update={"device": owner.device.model_copy(update=update)})
