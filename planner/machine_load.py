"""One server machine under the clients that it serves: its queue, and how much of it they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fleet import ResolvedServer
from .guests import Guests
from .queueing import Predicted, predict
from .simulate import Workload
from .solver.problem import FloatArray

MOST_VISITS = 2


@dataclass(frozen=True, eq=False)
class MachineLoad:
    """The steady state of an asynchronous machine with its guests."""

    guests: Guests
    predicted: Predicted | None
    """In the order of the guests; None for a machine without any."""

    @property
    def clients(self) -> int:
        return sum(self.guests.members)

    @property
    def client_bytes(self) -> int:
        """What the guests add to the machine's memory."""
        demands, guests = self.guests.menu.demands, self.guests
        return sum(
            members * demands[variant].server_memory_bytes
            for members, variant in zip(guests.members, guests.variants, strict=True)
        )

    @property
    def wait_seconds(self) -> FloatArray:
        """float64[C]: beyond the client's own step, in the queue and on the server's link."""
        if self.predicted is None:
            return np.zeros(0)
        return np.maximum(0.0, self.predicted.mean_seconds - self.guests.step.step_seconds)


def machine_load(guests: Guests) -> MachineLoad:
    """By the formulas of planner/queueing.py."""
    workers = guests.server.accelerators
    return MachineLoad(guests, predict(workload(guests), workers) if len(guests) else None)


def workload(guests: Guests) -> Workload:
    """The guests as the simulation takes them, a class for each.

    What micro-batches hide is taken from the device's stages and the transfers in proportion.
    """
    step, server, demands = guests.step, guests.server, guests.menu.demands
    device, up, down = step.device_seconds, step.up_seconds, step.down_seconds
    left = 1 - step.hidden_seconds / (device + up + down)
    visits = guests.asked("visits")
    there = np.arange(MOST_VISITS) < visits[:, None]
    device_flops = _stages([asked.device_flops for asked in demands], MOST_VISITS + 1)
    server_flops = _stages([asked.server_flops for asked in demands], MOST_VISITS)
    speeds = guests.own("device.training_flops_per_second")
    return Workload(
        counts=np.array(guests.members),
        visits=visits.astype(np.int64),
        device_seconds=left[:, None] * device_flops[guests.variant] / speeds[:, None],
        up_seconds=there * (left * up / visits)[:, None],
        server_seconds=server_flops[guests.variant] / server.device.training_flops_per_second,
        down_seconds=there * (left * down / visits)[:, None],
        round_trip_seconds=step.round_trip_seconds / visits,
        up_share=_shares(guests.own("link.up_bits_per_second"), server, "down"),
        down_share=_shares(guests.own("link.down_bits_per_second"), server, "up"),
    )


def _stages(flops: Sequence[tuple[int, ...]], most: int) -> FloatArray:
    """float64[O, most]: the FLOPs of each variant's stages, 0 beyond the last one."""
    return np.array([(*stages, *(0,) * (most - len(stages))) for stages in flops], dtype=float)


def _shares(rates: FloatArray, server: ResolvedServer, way: str) -> FloatArray:
    """The rate of a client's messages over that of the server's link."""
    own = getattr(server.link, f"{way}_bits_per_second")
    return np.minimum(1.0, rates / own)
