"""The limits that clients share, all at the server: C4 memory, C5 compute, C6 link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..catalog.units import format_bit_rate, format_bytes
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .fleet import ResolvedFleet
from .options import Option

LINK_REMEDY = "a faster link of the server, a codec with fewer bytes, or fewer clients"


@dataclass(frozen=True)
class SharedLimit:
    """used + Σ load(option) over the clients <= cap, all in one unit."""

    label: str
    cap: float
    used: float
    """What the server takes whatever the depths are."""
    load: Callable[[Option], float]
    noun: str
    """For messages, as are the next two."""
    remedy: str
    format: Callable[[float], str]


def _percent(value: float) -> str:
    return f"{100 * value:.3g}%"


def shared_limits(profile: Profile, fleet: ResolvedFleet) -> tuple[SharedLimit, ...]:
    """C4, C5 and both directions of C6, as in docs/planner.md."""
    server, policy = fleet.server, fleet.policy
    share = policy.server_utilisation
    backbone_bytes = server_backbone_bytes(profile, policy.server_side)
    return (
        SharedLimit(
            label="C4_server_memory",
            cap=server.device.usable_memory_bytes,
            used=server.device.runtime_bytes + backbone_bytes,
            load=lambda option: option.server_memory_bytes,
            noun="memory of the server",
            remedy="a server with more usable memory, or fewer clients",
            format=format_bytes,
        ),
        SharedLimit(
            label="C5_server_compute",
            cap=share,
            used=0.0,
            load=lambda option: option.server_load,
            noun="share of the server's compute",
            remedy="a faster server, devices with memory for deeper splits, or fewer clients",
            format=_percent,
        ),
        SharedLimit(
            label="C6_server_link_up",
            cap=share * server.link.up_bits_per_second,
            used=0.0,
            load=lambda option: option.down_bits_per_second,
            noun="rate from the server to the clients",
            remedy=LINK_REMEDY,
            format=format_bit_rate,
        ),
        SharedLimit(
            label="C6_server_link_down",
            cap=share * server.link.down_bits_per_second,
            used=0.0,
            load=lambda option: option.up_bits_per_second,
            noun="rate from the clients to the server",
            remedy=LINK_REMEDY,
            format=format_bit_rate,
        ),
    )
