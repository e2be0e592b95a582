"""One server machine under the clients that it serves: its queue, and how much of it they fill."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .fleet import ResolvedClient, ResolvedServer
from .menu import Demand
from .predict import Step
from .queueing import Predicted, predict
from .simulate import Workload
from .solver.problem import FloatArray, IntArray

MOST_VISITS = 2


class Guest(NamedTuple):
    """Clients of one machine that do the same."""

    members: int
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

    @cached_property
    def steps(self) -> list[tuple[float, float, float]]:
        """Mean, median and 95th percentile of each guest's step, in seconds."""
        found = self.predicted
        if found is None:
            return []
        columns = (found.mean_seconds, found.p50_seconds, found.p95_seconds)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def wait_seconds(self, guest: Guest, index: int) -> float:
        """Beyond the step of the client alone: in the queue and on the server's link."""
        return max(0.0, self.steps[index][0] - guest.step.step_seconds)


def machine_load(server: ResolvedServer, guests: Sequence[Guest]) -> MachineLoad:
    """The steady state of an asynchronous machine, by the formulas of planner/queueing.py."""
    return MachineLoad(
        predicted=predict(workload(server, guests), server.accelerators) if guests else None,
        clients=sum(guest.members for guest in guests),
        client_bytes=sum(guest.members * guest.demand.server_memory_bytes for guest in guests),
    )


def workload(server: ResolvedServer, guests: Sequence[Guest]) -> Workload:
    """The guests as the simulation takes them, a class for each.

    What micro-batches hide is taken from the device's stages and the transfers in proportion.
    """
    members, clients, steps, asked = zip(*guests, strict=True)
    table = np.fromiter(itertools.chain.from_iterable(steps), float, 6 * len(steps))
    device, up, down, round_trips, _, hidden = table.reshape(-1, 6).T
    kinds, which = _kinds(asked)
    visits_C = np.array([kind.visits for kind in kinds])[which]
    speeds = np.array([client.device.training_flops_per_second for client in clients])
    left = 1 - hidden / (device + up + down)
    there = np.arange(MOST_VISITS) < visits_C[:, None]
    device_flops = _stages([kind.device_flops for kind in kinds], MOST_VISITS + 1)[which]
    server_flops = _stages([kind.server_flops for kind in kinds], MOST_VISITS)[which]
    return Workload(
        counts=np.array(members),
        visits=visits_C,
        device_seconds=left[:, None] * device_flops / speeds[:, None],
        up_seconds=there * (left * up / visits_C)[:, None],
        server_seconds=server_flops / server.device.training_flops_per_second,
        down_seconds=there * (left * down / visits_C)[:, None],
        round_trip_seconds=round_trips / visits_C,
        up_share=_shares([client.link.up_bits_per_second for client in clients], server, "down"),
        down_share=_shares([client.link.down_bits_per_second for client in clients], server, "up"),
    )


def _kinds(asked: Sequence[Demand]) -> tuple[list[Demand], IntArray]:
    """The different ones, of which there are few, and int64[C]: which of them each is."""
    kinds = {id(one): one for one in asked}
    places = {key: place for place, key in enumerate(kinds)}
    return list(kinds.values()), np.array([places[id(one)] for one in asked])


def _stages(flops: Sequence[tuple[int, ...]], most: int) -> FloatArray:
    """float64[C, most]: the FLOPs of each guest's stages, 0 beyond the last one."""
    return np.array([(*stages, *(0,) * (most - len(stages))) for stages in flops], dtype=float)


def _shares(rates: Sequence[float], server: ResolvedServer, way: str) -> FloatArray:
    """The rate of a client's messages over that of the server's link."""
    own = getattr(server.link, f"{way}_bits_per_second")
    return np.minimum(1.0, np.array(rates) / own)
