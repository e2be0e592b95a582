"""Who comes next, where nobody waits for anybody."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..planner.plan import Plan


@dataclass(frozen=True, order=True)
class Arrival:
    """A client's step, at the time on the fleet's clock when it is done."""

    seconds: float
    client: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a client's steps follow one another: `from_step` begins at `from_seconds` on the fleet's
    clock, and each step begins when the last is done."""

    step_seconds: float
    from_step: int = 0
    from_seconds: float = 0.0

    def done_at(self, step: int) -> float:
        """Seconds on the fleet's clock; step 2 of 0.5 s steps from zero is done at 1.5."""
        return self.from_seconds + (step - self.from_step + 1) * self.step_seconds


def steps_of(plan: Plan, rounds: int) -> dict[str, int]:
    """Steps of each client in `rounds`: those with smaller batches take more.

    Example: the plan has 100 rounds, and 200 steps of half the batch for a client: 7 rounds are 14.
    """
    return {
        client.name: math.ceil(rounds * client.steps / plan.steps_per_client)
        for client in plan.clients
    }


def arrivals(
    paces: Mapping[str, Pace],
    steps: Mapping[str, int],
    begin_at: Mapping[str, int] | None = None,
) -> Iterator[Arrival]:
    """The steps up to `steps[client]` of every client in order of time, from step
    `begin_at[client]` on (0 where nothing is said).

    A pure function of its arguments: a resumed run continues in the order of an uninterrupted one.
    """
    begin_at = begin_at or {}
    queue = [
        Arrival(pace.done_at(first), client, first)
        for client, pace in paces.items()
        if (first := begin_at.get(client, 0)) < steps[client]
    ]
    heapq.heapify(queue)
    while queue:
        arrival = heapq.heappop(queue)
        yield arrival
        following = arrival.step + 1
        if following < steps[arrival.client]:
            seconds = paces[arrival.client].done_at(following)
            heapq.heappush(queue, Arrival(seconds, arrival.client, following))


def groups(
    arrivals: Iterable[Arrival], size: int, stopped: Callable[[str], bool]
) -> Iterator[list[Arrival]]:
    """The arrivals in runs of up to `size`, each of different clients, without those of clients
    that have stopped. Whoever goes on after any of the groups gets the groups that follow it."""
    group: list[Arrival] = []
    for arrival in arrivals:
        if arrival.client in {one.client for one in group}:
            yield group
            group = []
        if not stopped(arrival.client):
            group.append(arrival)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
