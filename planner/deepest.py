"""The deepest split that a client's own limits allow."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from .fleet import ResolvedClient, ResolvedFleet, ResolvedServer
from .guests import FIGURES, Guests
from .menu import Demand, Menu, Variant
from .predict import broken_by_size, broken_by_time, broken_limits, limits_time, predict_step


class Deepest:
    """Looked up once for equal clients."""

    def __init__(self, menu: Menu, fleet: ResolvedFleet) -> None:
        self.menu, self.fleet = menu, fleet
        self.known: dict[Hashable, int] = {}
        self.deepest_first = sorted(
            zip(menu.variants, menu.demands, strict=True),
            key=lambda option: option[0].placement.depth,
            reverse=True,
        )
        self.memories = sorted({demand.model_memory_bytes for demand in menu.demands})
        self.timed = limits_time(fleet.policy)

    def of(self, guests: Guests) -> list[int]:
        """Of each guest; 0 where no variant keeps its limits."""
        alike = self._alike(guests)
        for key, client in zip(alike, guests.clients, strict=True):
            if key not in self.known:
                self.known[key] = self._of(client)
        return [self.known[key] for key in alike]

    def _alike(self, guests: Guests) -> list[Hashable]:
        """Equal for clients with the same answer: where time doesn't count, devices are alike that
        have room for the same variants."""
        fields = guests.fields
        if self.timed:
            return list(zip(*(fields[field] for field in FIGURES), strict=True))
        room = guests.own("device.usable_memory_bytes") - guests.own("device.runtime_bytes")
        fitting = np.searchsorted(self.memories, room, side="right").tolist()
        others = (fields[field] for field in ("link.data_budget_bytes", "min_depth", "max_depth"))
        return list(zip(fitting, *others, strict=True))

    def _of(self, client: ResolvedClient) -> int:
        room = client.device.usable_memory_bytes - client.device.runtime_bytes
        fitting = (
            variant.placement.depth
            for variant, demand in self.deepest_first
            if demand.model_memory_bytes <= room and self._keeps_limits(client, variant, demand)
        )
        return next(fitting, 0)

    def _keeps_limits(self, client: ResolvedClient, variant: Variant, demand: Demand) -> bool:
        """The client's own limits with one of the servers, without waiting there."""
        policy, samples = self.fleet.policy, self.menu.round_samples
        if any(broken_by_size(demand, variant, client, policy, samples)):
            return False
        if not self.timed:
            return True
        steps = (predict_step(demand, variant, client, server) for server in self.fleet.servers)
        return any(
            not any(broken_by_time(variant, step, client, policy, samples)) for step in steps
        )


def keeps_limits(
    demand: Demand,
    variant: Variant,
    client: ResolvedClient,
    server: ResolvedServer,
    menu: Menu,
    fleet: ResolvedFleet,
) -> bool:
    """The client's own limits, without waiting at the server."""
    step = predict_step(demand, variant, client, server)
    return not any(broken_limits(demand, variant, step, client, fleet.policy, menu.round_samples))
