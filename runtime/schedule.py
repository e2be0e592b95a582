"""Who comes next, where nobody waits for anybody."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Arrival:
    """A client's step, at the time on the fleet's clock when it is done."""

    seconds: float
    client: str
    step: int


def arrivals(step_seconds: Mapping[str, float], steps: int) -> Iterator[Arrival]:
    """Every step of every client in order of time: each client starts its next step as soon as it
    has finished the last. A pure function of the plan, so a resumed run continues the same order.
    """
    queue = [Arrival(seconds, client, 0) for client, seconds in step_seconds.items()]
    heapq.heapify(queue)
    while queue:
        arrival = heapq.heappop(queue)
        yield arrival
        if arrival.step + 1 < steps:
            seconds = (arrival.step + 2) * step_seconds[arrival.client]
            heapq.heappush(queue, Arrival(seconds, arrival.client, arrival.step + 1))
