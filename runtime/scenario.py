"""What goes wrong in a fleet: slow devices, outages, dropouts and late joiners, from a file.

A scenario changes when things happen, never what is computed. The same file and fleet give the
same course of events on every machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from pydantic import Field, NonNegativeInt

from ..catalog.files import Contract, read_contract
from ..catalog.lines import Place
from ..catalog.units import Seconds
from ..errors import FieldError, UnknownNameError


class Slow(Contract):
    """A client whose device or link is slower than planned for a while."""

    client: str
    device: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How many times longer its computations take."""
    link: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How many times longer its messages take."""
    from_seconds: Seconds = 0.0
    until_seconds: Seconds | None = None
    """None: to the end."""

    def holds(self, now: float) -> bool:
        return self.from_seconds <= now and (self.until_seconds is None or now < self.until_seconds)


class Outage(Contract):
    """A client that stands still, device and link, and then goes on where it was."""

    client: str
    from_seconds: Seconds
    lasts_seconds: Seconds

    @property
    def until_seconds(self) -> float:
        return self.from_seconds + self.lasts_seconds


class Moment(Contract):
    """When a client leaves for good, or comes."""

    client: str
    at_seconds: Seconds


class RandomOutages(Contract):
    """Outages of every client at random: exponential times between them, exponential lengths."""

    every_seconds: Seconds = Field(gt=0)
    """Mean time from the end of one to the next."""
    lasts_seconds: Seconds = Field(gt=0)
    """Mean length."""


class Scenario(Contract):
    """The file; times are on the fleet's clock, from the start of training."""

    schema_version: Literal[1] = 1
    seed: NonNegativeInt = 0
    """Of jitter and random outages."""
    jitter: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    """Standard deviation of each part of a step over its mean (lognormal)."""
    slow: tuple[Slow, ...] = ()
    outages: tuple[Outage, ...] = ()
    dropouts: tuple[Moment, ...] = ()
    """Clients that leave for good."""
    joins: tuple[Moment, ...] = ()
    """Clients that come late."""
    random_outages: RandomOutages | None = None

    def of(self, client: str) -> Conditions:
        """What happens to one client."""
        return Conditions(self, client)


class Conditions:
    """One client's fate under a scenario."""

    def __init__(self, scenario: Scenario, client: str) -> None:
        self.scenario, self.client = scenario, client
        self._slow = [entry for entry in scenario.slow if entry.client == client]
        fixed = sorted(
            (outage.from_seconds, outage.until_seconds)
            for outage in scenario.outages
            if outage.client == client
        )
        self._known: list[tuple[float, float]] = []
        self._coming = _merged(heapq.merge(fixed, self._random_outages()))

    def random(self, purpose: str) -> np.random.Generator:
        """A stream of the client's own: what happens to others leaves it alone."""
        seed = self.scenario.seed
        return np.random.default_rng([seed, crc32(self.client.encode()), crc32(purpose.encode())])

    @property
    def joins_seconds(self) -> float:
        return max(
            (m.at_seconds for m in self.scenario.joins if m.client == self.client), default=0
        )

    @property
    def leaves_seconds(self) -> float | None:
        times = [m.at_seconds for m in self.scenario.dropouts if m.client == self.client]
        return min(times) if times else None

    def device_factor(self, now: float) -> float:
        return float(np.prod([entry.device for entry in self._slow if entry.holds(now)]))

    def link_factor(self, now: float) -> float:
        return float(np.prod([entry.link for entry in self._slow if entry.holds(now)]))

    def done(self, start: float, seconds: float) -> float:
        """When work of `seconds` is done that begins at `start` and stands still in outages."""
        end = start + seconds
        for begin, until in self._outages():
            if begin >= end:
                break
            if until > start:
                end += until - max(begin, start)
        return end

    def up_again(self, now: float) -> float:
        """The first moment from `now` on that is in no outage."""
        for begin, until in self._outages():
            if now < until:
                return until if begin <= now else now
        return now

    def _outages(self) -> Iterator[tuple[float, float]]:
        """(begin, end) in order, none overlapping another, for as long as somebody asks."""
        for number in count():
            if number == len(self._known):
                span = next(self._coming, None)
                if span is None:
                    return
                self._known.append(span)
            yield self._known[number]

    def _random_outages(self) -> Iterator[tuple[float, float]]:
        rate = self.scenario.random_outages
        if rate is None:
            return
        random, now = self.random("outages"), 0.0
        while True:
            begin = now + random.exponential(rate.every_seconds)
            now = begin + random.exponential(rate.lasts_seconds)
            yield begin, now


def _merged(spans: Iterator[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans that come by their beginning, with those that overlap as one."""
    held = next(spans, None)
    while held is not None:
        following = next(spans, None)
        while following is not None and following[0] <= held[1]:
            held = held[0], max(held[1], following[1])
            following = next(spans, None)
        yield held
        held = following


CALM = Scenario(jitter=0.0)
"""Everything as planned, to the second."""


def read_scenario(path: Path, clients: Collection[str]) -> Scenario:
    """The scenario in `path` for a fleet of `clients`.

    Raises MissingFileError, SyntaxFileError, FieldError or UnknownNameError, with file, line and
    field.
    """
    scenario = read_contract(Scenario, path)
    for field in ("slow", "outages", "dropouts", "joins"):
        for number, entry in enumerate(getattr(scenario, field)):
            place = Place(path, (field, number, "client"))
            if entry.client not in clients:
                raise UnknownNameError("client", entry.client, sorted(clients), str(place))
    for number, slow in enumerate(scenario.slow):
        if slow.until_seconds is not None and slow.until_seconds <= slow.from_seconds:
            raise FieldError(
                f"{Place(path, ('slow', number, 'until_seconds'))}{slow.until_seconds:g} s is not "
                f"after from_seconds, {slow.from_seconds:g} s",
                "let it end after it begins, or leave it out",
            )
    return scenario
