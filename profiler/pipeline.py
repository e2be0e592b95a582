"""How long a step takes whose batch goes in parts that overlap (micro-batches).

Device, wire up, server and wire down work on different parts at the same time; each takes one part
at a time. Sources: docs/planner.md, "Time", and runtime/micro_batches.py for the order of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


def step_seconds(
    *,
    device_seconds: float,
    up_seconds: float,
    server_seconds: float,
    down_seconds: float,
    rtt_seconds: float,
    round_trips: int,
    parts: int,
) -> float:
    """Fill plus bottleneck: the planner's formula, for totals of one step.

    With Σ the sum of the four: Σ / M + (1 − 1/M) · max + round trips · RTT. One part passes through
    everything; the others follow it as fast as the slowest of the four lets them. Exact for M = 1;
    else as if the slowest never waited between the forward and the backward pass: mostly up to 15%
    above `schedule_seconds`, and up to 10% below where forward and backward passes have different
    bottlenecks.

    Example: 1, 2, 1 and 2 seconds, 2 round trips of 0.1 and 4 parts: 6/4 + 3/4 · 2 + 0.2 = 3.2.
    """
    stages = (device_seconds, up_seconds, server_seconds, down_seconds)
    fill = sum(stages) / parts + round_trips * rtt_seconds
    return fill + (1 - 1 / parts) * max(stages)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A piece of a step: what does it, for how long, and what passes until the next one begins."""

    on: Literal["device", "up", "server", "down"]
    seconds: float
    """For the whole batch; each part takes its share."""
    delay_seconds: float = 0.0
    """The way of every part to the next stage, whatever its size."""


def schedule_seconds(stages: Sequence[Stage], parts: int) -> float:
    """When a step of `parts` equal parts ends: whatever works takes the parts of a stage one after
    the other, and before the parts of later stages.

    A part starts a stage when it is there and the one before it is done with: start =
    max(ready, free). Example: stages of 2 s up and 2 s down in 2 parts: 1 + 1 + 1 = 3 s.
    """
    free: dict[str, float] = {}
    ready = [0.0] * parts
    for stage in stages:
        for part in range(parts):
            end = max(ready[part], free.get(stage.on, 0.0)) + stage.seconds / parts
            free[stage.on] = end
            ready[part] = end + stage.delay_seconds
    return max(ready)


def u_shape(
    *,
    bottom_seconds: tuple[float, float],
    top_seconds: float,
    server_seconds: tuple[float, float],
    up_seconds: tuple[float, float],
    down_seconds: tuple[float, float],
    rtt_seconds: float,
) -> list[Stage]:
    """The stages of a step with the head on the device; pairs are (forward, backward)."""
    way = rtt_seconds / 2
    return [
        Stage(on="device", seconds=bottom_seconds[0]),
        Stage(on="up", seconds=up_seconds[0], delay_seconds=way),
        Stage(on="server", seconds=server_seconds[0]),
        Stage(on="down", seconds=down_seconds[0], delay_seconds=way),
        Stage(on="device", seconds=top_seconds),
        Stage(on="up", seconds=up_seconds[1], delay_seconds=way),
        Stage(on="server", seconds=server_seconds[1]),
        Stage(on="down", seconds=down_seconds[1], delay_seconds=way),
        Stage(on="device", seconds=bottom_seconds[1]),
    ]
