"""The fleet's machines in arrays: one line for each client entry, one for each kind of server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

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


def client_arrays(clients: Sequence[ResolvedClient]) -> Clients:
    def column(values: Iterator[float]) -> FloatArray:
        return np.fromiter(values, dtype=float, count=len(clients))

    def whole(values: Iterator[int]) -> IntArray:
        return np.fromiter(values, dtype=np.int64, count=len(clients))

    return Clients(
        count=whole(c.count for c in clients),
        memory_bytes=column(c.device.usable_memory_bytes - c.device.runtime_bytes for c in clients),
        flops_per_second=column(c.device.training_flops_per_second for c in clients),
        up_bits_per_second=column(c.link.up_bits_per_second for c in clients),
        down_bits_per_second=column(c.link.down_bits_per_second for c in clients),
        rtt_seconds=column(c.link.rtt_seconds for c in clients),
        data_budget_bytes=column(
            math.inf if c.link.data_budget_bytes is None else c.link.data_budget_bytes
            for c in clients
        ),
        watts=column(math.nan if c.device.watts is None else c.device.watts for c in clients),
        min_depth=whole(c.min_depth for c in clients),
        max_depth=whole(2**31 if c.max_depth is None else c.max_depth for c in clients),
        weight=column(c.weight for c in clients),
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
