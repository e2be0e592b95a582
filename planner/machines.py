"""The fleet's machines in arrays: one line for each client entry, one for each kind of server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .columns import columns
from .fleet import ResolvedClient, ResolvedServer
from .solver.problem import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Clients:
    """C client entries; an entry is one device or a class of `count` equal ones."""

    count: IntArray
    memory_bytes: FloatArray
    """What a model may take: usable memory less the process itself."""
    flops_per_second: FloatArray
    up_bits_per_second: FloatArray
    down_bits_per_second: FloatArray
    rtt_seconds: FloatArray
    data_budget_bytes: FloatArray
    """inf: no limit."""
    watts: FloatArray
    """nan: unknown."""
    min_depth: IntArray
    max_depth: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.count)

    def rows(self, size: int) -> Iterator[Clients]:
        """Consecutive parts of at most `size` entries."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def take(self, index: IntArray) -> Clients:
        return Clients(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Servers:
    """K kinds of servers, each of `count` equal machines."""

    count: IntArray | FloatArray
    """Machines of each kind; a sample of a program has parts of them."""
    memory_bytes: FloatArray
    """Usable memory less the process and the backbone: what clients may add."""
    flops_per_second: FloatArray
    """Of one accelerator."""
    accelerators: IntArray
    """Of one machine; each serves one request at a time."""
    up_bits_per_second: FloatArray
    """Towards the clients."""
    down_bits_per_second: FloatArray
    watts: FloatArray
    """An accelerator's share of the machine's power; nan: unknown."""
    cost_per_hour: FloatArray
    """Of one machine; nan: unknown."""

    def __len__(self) -> int:
        return len(self.count)


CLIENT = (
    *("count", "min_depth", "max_depth", "weight"),
    *("device.usable_memory_bytes", "device.runtime_bytes", "device.watts"),
    *("device.training_flops_per_second", "link.up_bits_per_second", "link.down_bits_per_second"),
    *("link.rtt_seconds", "link.data_budget_bytes"),
)


def client_arrays(clients: Sequence[ResolvedClient]) -> Clients:
    read = columns(CLIENT, clients)

    def column(field: str, none: float = math.nan) -> FloatArray:
        values = np.array(read[field], dtype=float)
        return np.where(np.isnan(values), none, values)

    return Clients(
        count=np.array(read["count"]),
        memory_bytes=column("device.usable_memory_bytes") - column("device.runtime_bytes"),
        flops_per_second=column("device.training_flops_per_second"),
        up_bits_per_second=column("link.up_bits_per_second"),
        down_bits_per_second=column("link.down_bits_per_second"),
        rtt_seconds=column("link.rtt_seconds"),
        data_budget_bytes=column("link.data_budget_bytes", none=math.inf),
        watts=column("device.watts"),
        min_depth=np.array(read["min_depth"]),
        max_depth=column("max_depth", none=2**31).astype(np.int64),
        weight=column("weight"),
    )


def server_arrays(servers: Sequence[ResolvedServer], backbone_bytes: int) -> Servers:
    """`backbone_bytes`: what every machine holds before the first client comes."""

    def column(values: Iterator[float]) -> FloatArray:
        return np.array(list(values), dtype=float)

    return Servers(
        count=np.array([s.count for s in servers]),
        memory_bytes=column(
            s.device.usable_memory_bytes - s.device.runtime_bytes - backbone_bytes for s in servers
        ),
        flops_per_second=column(s.device.training_flops_per_second for s in servers),
        accelerators=np.array([s.accelerators for s in servers]),
        up_bits_per_second=column(s.link.up_bits_per_second for s in servers),
        down_bits_per_second=column(s.link.down_bits_per_second for s in servers),
        watts=column(
            math.nan if s.energy_watts is None else s.energy_watts / s.accelerators for s in servers
        ),
        cost_per_hour=column(
            math.nan if s.cost_per_hour is None else s.cost_per_hour for s in servers
        ),
    )
