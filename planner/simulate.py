"""The asynchronous system event by event: what a plan's step times are held against.

Every client repeats its step without a barrier, and waits for nobody but the server:

    device · up · server · down · device · up · server · down · device

Forward and backward are two visits to the server, or one where a step has one exchange. The server
is one queue, first come first served, before `workers` equal accelerators. A message runs at the
rate of the client's own link; where the messages under way in one direction together exceed the
rate of the server's link, all of them slow down by the same factor. Half of the round trip goes
before each message, whatever else is under way. Every part of a step varies by a lognormal factor
of mean 1. Nobody ends first: the figures are those of a fleet in which all clients are at work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np

from .solver.problem import FloatArray, IntArray

JITTER = 0.2
"""Standard deviation of each part of a step over its mean."""
STEPS = 50
"""On average for each client, and after the warm-up."""
LEAST_STEPS = 3
"""Of each class after the warm-up."""
WARM_UP = 0.25
"""Steps that don't count, as a share of those that do: the queue fills meanwhile."""
DRAWS = 4096


@dataclass(frozen=True, eq=False)
class Workload:
    """C classes of equal clients, each with up to V visits to the server in a step."""

    counts: IntArray
    """int64[C]: clients of each class, at least 1."""
    visits: IntArray
    """int64[C]: 1 to V; what stands beyond in the arrays below isn't read."""
    device_seconds: FloatArray
    """float64[C, V + 1]: before the first visit, between visits, after the last one."""
    up_seconds: FloatArray
    """float64[C, V]: of each message to the server, at the rate of the client's link (or of the
    server's, if that is lower)."""
    server_seconds: FloatArray
    """float64[C, V]: on one accelerator, without waiting."""
    down_seconds: FloatArray
    """float64[C, V]"""
    round_trip_seconds: FloatArray
    """float64[C]: of one visit."""
    up_share: FloatArray
    """float64[C], 0 to 1: the rate behind `up_seconds` over that of the server's link."""
    down_share: FloatArray
    """float64[C]"""

    def used(self) -> FloatArray:
        """float64[C, V]: 1 for a visit that takes place, 0 beyond."""
        return (np.arange(self.server_seconds.shape[1]) < self.visits[:, None]).astype(float)

    def elsewhere_seconds(self) -> FloatArray:
        """float64[C]: of a step, everything but the server and its queue."""
        used = self.used()
        device = (self.device_seconds[:, 1:] * used).sum(axis=1) + self.device_seconds[:, 0]
        wire = ((self.up_seconds + self.down_seconds) * used).sum(axis=1)
        return device + wire + self.visits * self.round_trip_seconds


@dataclass(frozen=True, eq=False)
class Simulated:
    """Steps of each class, in seconds."""

    mean_seconds: FloatArray
    """float64[C]"""
    p50_seconds: FloatArray
    p95_seconds: FloatArray
    steps: IntArray
    """int64[C]: how many were counted."""
    server_utilisation: float
    """Share of the time that an accelerator is busy."""


def simulate(
    workload: Workload,
    workers: int = 1,
    jitter: float = JITTER,
    steps: int = STEPS,
    seed: int = 0,
) -> Simulated:
    """Runs until all clients together have counted `steps` each on average, and every class
    LEAST_STEPS. The same seed gives the same figures on every machine."""
    random = np.random.default_rng(seed)
    run = _Run(workload, workers, _factors(random, jitter))
    run.start(random)
    members = int(workload.counts.sum())
    run.until(math.ceil(WARM_UP * steps * members), 0)
    run.forget()
    run.until(steps * members, LEAST_STEPS)
    lasted = [np.array(seconds) for seconds in run.lasted]
    return Simulated(
        mean_seconds=np.array([seconds.mean() for seconds in lasted]),
        p50_seconds=np.array([np.percentile(seconds, 50) for seconds in lasted]),
        p95_seconds=np.array([np.percentile(seconds, 95) for seconds in lasted]),
        steps=np.array([len(seconds) for seconds in lasted]),
        server_utilisation=run.busy / (workers * (run.now - run.since)),
    )


def _factors(random: np.random.Generator, jitter: float) -> Iterator[float]:
    """Lognormal with mean 1 and standard deviation `jitter`."""
    variance = math.log1p(jitter**2)
    while True:
        yield from random.lognormal(-variance / 2, math.sqrt(variance), DRAWS).tolist()


class SharedLink:
    """One direction of the server's link. `clock` counts the seconds that a message would have
    spent by now at its own rate; all messages share it, since they slow down together."""

    def __init__(self, shares: list[float]) -> None:
        self.shares = shares
        self.ends: list[tuple[float, int]] = []
        """(clock at the end, client) of the messages under way."""
        self.used, self.clock, self.now = 0.0, 0.0, 0.0

    def next(self) -> float:
        """When the next message ends, unless another one starts before."""
        if not self.ends:
            return math.inf
        return self.now + (self.ends[0][0] - self.clock) * (self.used if self.used > 1 else 1.0)

    def start(self, now: float, client: int, seconds: float) -> float:
        self._advance(now)
        self.used += self.shares[client]
        heappush(self.ends, (self.clock + seconds, client))
        return self.next()

    def end(self, now: float) -> tuple[int, float]:
        """The client whose message ends now, and when the next one does."""
        self._advance(now)
        client = heappop(self.ends)[1]
        self.used = self.used - self.shares[client] if self.ends else 0.0
        return client, self.next()

    def _advance(self, now: float) -> None:
        self.clock += (now - self.now) / (self.used if self.used > 1 else 1.0)
        self.now = now


class _Run:
    """The state of the system: each client waits for one event, on a link or in `events`."""

    def __init__(self, workload: Workload, workers: int, factors: Iterator[float]) -> None:
        kind = np.repeat(np.arange(len(workload.counts)), workload.counts)
        self.kind: list[int] = kind.tolist()
        self.visits, self.device, self.up, self.server, self.down = (
            table[kind].tolist()
            for table in (
                workload.visits,
                workload.device_seconds,
                workload.up_seconds,
                workload.server_seconds,
                workload.down_seconds,
            )
        )
        self.latency: list[float] = (workload.round_trip_seconds[kind] / 2).tolist()
        self.uplink = SharedLink(workload.up_share[kind].tolist())
        self.downlink = SharedLink(workload.down_share[kind].tolist())
        unloaded = workload.elsewhere_seconds() + (workload.server_seconds * workload.used()).sum(1)
        self.unloaded: list[float] = unloaded[kind].tolist()
        self.factors = factors
        self.free = [0.0] * workers
        """When each accelerator is free."""
        self.events: list[tuple[float, int]] = []
        """(time, client) of the messages about to start: 2v + 1 of a client's `stage` is up on
        visit v, 2v + 2 is down."""
        self.stage = [1] * len(kind)
        self.begun = [0.0] * len(kind)
        self.lasted: list[list[float]] = [[] for _ in workload.counts]
        self.now, self.since, self.busy = 0.0, 0.0, 0.0

    def start(self, random: np.random.Generator) -> None:
        """Everyone at a moment of its own, within the length of a step."""
        for client, moment in enumerate(random.random(len(self.kind)).tolist()):
            self.begun[client] = moment * self.unloaded[client]
            first = self.device[client][0] * next(self.factors) + self.latency[client]
            self.events.append((self.begun[client] + first, client))
        heapify(self.events)

    def forget(self) -> None:
        for seconds in self.lasted:
            seconds.clear()
        self.since, self.busy = self.now, 0.0

    def until(self, total: int, each: int) -> None:
        """Until `total` steps have ended, and `each` of every class."""
        events, uplink, downlink = self.events, self.uplink, self.downlink
        up_end, down_end = uplink.next(), downlink.next()
        ended, late = 0, sum(each > 0 for _ in self.lasted)
        while ended < total or late:
            now = events[0][0] if events else math.inf
            if up_end <= now and up_end <= down_end:
                client, up_next = uplink.end(up_end)
                self._serve(up_end, client)
                self.now, up_end = up_end, up_next
            elif down_end <= now:
                client, down_next = downlink.end(down_end)
                if self._received(down_end, client):
                    ended += 1
                    late -= len(self.lasted[self.kind[client]]) == each
                self.now, down_end = down_end, down_next
            else:
                client = heappop(events)[1]
                visit, is_down = divmod(self.stage[client] - 1, 2)
                if is_down:
                    seconds = self.down[client][visit] * next(self.factors)
                    down_end = downlink.start(now, client, seconds)
                else:
                    seconds = self.up[client][visit] * next(self.factors)
                    up_end = uplink.start(now, client, seconds)
                self.now = now

    def _serve(self, now: float, client: int) -> None:
        """Arrivals are seen in order of time, so the queue is known at once."""
        visit = self.stage[client] // 2
        seconds = self.server[client][visit] * next(self.factors)
        free = self.free[0]
        done = (free if free > now else now) + seconds
        heapreplace(self.free, done)
        self.busy += seconds
        self.stage[client] += 1
        heappush(self.events, (done + self.latency[client], client))

    def _received(self, now: float, client: int) -> bool:
        """The device goes on; whether that ends a step."""
        visit = self.stage[client] // 2
        device = self.device[client]
        then = now + device[visit] * next(self.factors)
        ends = visit == self.visits[client]
        if ends:
            self.lasted[self.kind[client]].append(then - self.begun[client])
            self.begun[client] = then
            self.stage[client] = 1
            then += device[0] * next(self.factors)
        else:
            self.stage[client] += 1
        heappush(self.events, (then + self.latency[client], client))
        return ends
