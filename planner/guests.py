"""The clients of one machine in columns: what they are, what they do, and what a step takes them.

`Guests.step` is the formula of planner/predict.py for all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from .columns import columns
from .fleet import ResolvedClient, ResolvedServer
from .menu import Menu
from .plan import ClientPlan
from .predict import Step
from .solver.problem import FloatArray, IntArray

FIGURES = (
    *("min_depth", "max_depth"),
    *("device.usable_memory_bytes", "device.runtime_bytes", "device.watts"),
    *("device.training_flops_per_second", "link.up_bits_per_second", "link.down_bits_per_second"),
    *("link.rtt_seconds", "link.data_budget_bytes"),
)
"""Of a client: all that its limits and its steps depend on."""
FIELDS = ("name", "count", "device.name", "link.name", *FIGURES)
SPLIT, WORK = ("depth", "top", "head", "checkpointing"), ("codec", "batch", "micro_batches")
"""What tells a variant from the others of its menu."""


@dataclass(frozen=True, eq=False)
class Guests:
    """C entries of a plan at one machine; clients of an entry do the same."""

    server: ResolvedServer
    menu: Menu
    clients: Sequence[ResolvedClient]
    variants: Sequence[int]
    """Of the menu."""
    members: Sequence[int]

    def __len__(self) -> int:
        return len(self.clients)

    @cached_property
    def fields(self) -> dict[str, tuple[Any, ...]]:
        return columns(FIELDS, self.clients)

    def own(self, field: str) -> FloatArray:
        """float64[C]: a figure of the clients; nan for none."""
        return np.array(self.fields[field], dtype=float)

    @cached_property
    def variant(self) -> IntArray:
        return np.array(self.variants, dtype=np.int64)

    def asked(self, field: str) -> FloatArray:
        """float64[C]: a figure of the variants' demands; the sum where it has parts."""
        return self.menu.column(field)[self.variant]

    @cached_property
    def step(self) -> Step[FloatArray]:
        """Without waiting at the server."""
        near = self.server.link
        up_rate = np.minimum(self.own("link.up_bits_per_second"), near.down_bits_per_second)
        down_rate = np.minimum(self.own("link.down_bits_per_second"), near.up_bits_per_second)
        up = 8 * self.asked("up_bytes") / up_rate
        down = 8 * self.asked("down_bytes") / down_rate
        device = self.asked("device_flops") / self.own("device.training_flops_per_second")
        work = self.asked("server_flops") / self.server.device.training_flops_per_second
        slowest = np.maximum(np.maximum(device, work), np.maximum(up, down))
        overlap = 1 - 1 / self.menu.micro_batches[self.variant]
        return Step(
            device_seconds=device,
            up_seconds=up,
            down_seconds=down,
            round_trip_seconds=self.asked("visits") * self.own("link.rtt_seconds"),
            server_seconds=work,
            hidden_seconds=overlap * (device + up + down + work - slowest),
        )


def variants_of(entries: Sequence[ClientPlan], menu: Menu) -> list[int | None]:
    """Which of the menu's variants each entry of a plan has; None for one that isn't there."""
    named = attrgetter(*(f"placement.{field}" for field in SPLIT), *WORK)
    known = {named(variant): index for index, variant in enumerate(menu.variants)}
    return list(map(known.get, map(attrgetter(*SPLIT, *WORK), entries)))
