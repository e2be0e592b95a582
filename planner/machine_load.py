"""One server machine under the clients that it serves: its queue, and how much of it they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fleet import ResolvedClient, ResolvedServer
from .menu import Demand
from .predict import Step
from .queueing import Predicted, predict
from .simulate import Workload

MOST_VISITS = 2


@dataclass(frozen=True)
class Guest:
    """Clients of one machine that do the same."""

    count: int
    client: ResolvedClient
    step: Step
    demand: Demand


@dataclass(frozen=True, eq=False)
class MachineLoad:
    """`predicted` is in the order of the guests; None for a machine without guests."""

    predicted: Predicted | None
    clients: int
    client_bytes: int
    """What the guests add to the machine's memory."""

    def wait_seconds(self, guest: Guest, index: int) -> float:
        """Beyond the step of the client alone: in the queue and on the server's link."""
        assert self.predicted is not None
        return max(0.0, float(self.predicted.mean_seconds[index]) - guest.step.step_seconds)


def machine_load(server: ResolvedServer, guests: Sequence[Guest]) -> MachineLoad:
    """The steady state of an asynchronous machine, by the formulas of planner/queueing.py."""
    return MachineLoad(
        predicted=predict(workload(server, guests), server.accelerators) if guests else None,
        clients=sum(guest.count for guest in guests),
        client_bytes=sum(guest.count * guest.demand.server_memory_bytes for guest in guests),
    )


def workload(server: ResolvedServer, guests: Sequence[Guest]) -> Workload:
    """The guests as the simulation takes them, a class for each.

    What micro-batches hide is taken from the device's stages and the transfers in proportion.
    """
    classes = len(guests)
    table = {
        "device_seconds": np.zeros((classes, MOST_VISITS + 1)),
        **{
            f"{part}_seconds": np.zeros((classes, MOST_VISITS)) for part in ("up", "server", "down")
        },
    }
    for row, guest in enumerate(guests):
        step, demand, visits = guest.step, guest.demand, guest.demand.visits
        busy = step.device_seconds + step.up_seconds + step.down_seconds
        left = 1 - step.hidden_seconds / busy
        speed = guest.client.device.training_flops_per_second
        device = [left * flops / speed for flops in demand.device_flops]
        table["device_seconds"][row, : visits + 1] = device
        table["up_seconds"][row, :visits] = left * step.up_seconds / visits
        table["down_seconds"][row, :visits] = left * step.down_seconds / visits
        speed = server.device.training_flops_per_second
        table["server_seconds"][row, :visits] = [flops / speed for flops in demand.server_flops]
    visits_C = np.array([guest.demand.visits for guest in guests])
    round_trips = np.array([guest.step.round_trip_seconds for guest in guests])
    return Workload(
        counts=np.array([guest.count for guest in guests]),
        visits=visits_C,
        round_trip_seconds=round_trips / visits_C,
        up_share=_shares([g.client.link.up_bits_per_second for g in guests], server, "down"),
        down_share=_shares([g.client.link.down_bits_per_second for g in guests], server, "up"),
        **table,
    )


def _shares(rates: Sequence[float], server: ResolvedServer, way: str) -> np.ndarray:
    """The rate of a client's messages over that of the server's link."""
    own = getattr(server.link, f"{way}_bits_per_second")
    return np.minimum(1.0, np.array(rates) / own)
