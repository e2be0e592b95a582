"""The fleet's clock: when each step of each client happens, event by event.

A client's step is a chain of parts: device, message up, server, message down, and so on
(planner/simulate.py, whose links these are). The server is one queue, first come first served,
before equal accelerators. Nobody waits for anybody, but at the barriers that an algorithm has: a
client sends its weights, waits until all members of the round have sent theirs, and receives the
average. What happens when depends on no number that is trained, so this module knows none.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..planner.simulate import SharedLink
from .scenario import Conditions, Scenario


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """A step of one client without waiting, in seconds; V visits to the server, which may be 0."""

    device_seconds: tuple[float, ...]
    """V + 1: before the first visit, between visits, after the last one."""
    up_seconds: tuple[float, ...] = ()
    """V: of each message, at the rate of the slower of the two links."""
    server_seconds: tuple[float, ...] = ()
    down_seconds: tuple[float, ...] = ()
    round_trip_seconds: float = 0.0
    """Of one visit."""
    up_share: float = 0.0
    """The rate behind `up_seconds` over that of the server's link, 0 to 1."""
    down_share: float = 0.0

    @property
    def visits(self) -> int:
        return len(self.server_seconds)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What one client is to do."""

    times: StepTimes
    steps: int
    barriers: frozenset[int] = frozenset()
    """Steps, from 0, after which the client's round ends."""
    send_seconds: float = 0.0
    """Of its weights to the server, at each barrier."""
    receive_seconds: float = 0.0
    """Of the average."""


class Kind(StrEnum):
    MEET = "meet"
    """The step meets the server's weights: its gradient is of them as they are now."""
    APPLY = "apply"
    """The server applies the step's gradient to its part."""
    DONE = "done"
    """So does the device: the step is over."""
    AVERAGE = "average"
    """A round is over: its members' weights are averaged."""
    LEAVE = "leave"
    """The client is gone for good."""


@dataclass(frozen=True)
class Event:
    seconds: float
    kind: Kind
    client: str = ""
    step: int = 0
    members: tuple[str, ...] = ()
    """Of a round that is over."""


@dataclass(frozen=True)
class _Compute:
    seconds: float


@dataclass(frozen=True)
class _Transfer:
    up: bool
    seconds: float
    latency_seconds: float


@dataclass(frozen=True)
class _Serve:
    seconds: float


@dataclass(frozen=True)
class _Tell:
    kind: Kind
    step: int


class _Barrier:
    """The end of a round."""


_Part = _Compute | _Transfer | _Serve | _Tell | _Barrier


def events(
    courses: Mapping[str, Course], scenario: Scenario, accelerators: int = 1
) -> Iterator[Event]:
    """Everything that happens until all clients have done their course or left, in order of time.

    A client that leaves is no longer waited for. One that comes late joins the next round that
    begins. Simultaneous events come in the order of `courses`.
    """
    return _Clock(courses, scenario, accelerators).run()


def _parts(course: Course) -> Iterator[_Part]:
    """The parts of a client's course, one after the other."""
    times = course.times
    half_trip = times.round_trip_seconds / 2
    for step in range(course.steps):
        for visit in range(times.visits):
            yield _Compute(times.device_seconds[visit])
            yield _Transfer(True, times.up_seconds[visit], half_trip)
            yield _Serve(times.server_seconds[visit])
            if visit == 0:
                yield _Tell(Kind.MEET, step)
            if visit == times.visits - 1:
                yield _Tell(Kind.APPLY, step)
            yield _Transfer(False, times.down_seconds[visit], half_trip)
        yield _Compute(times.device_seconds[-1])
        if not times.visits:
            yield _Tell(Kind.MEET, step)
            yield _Tell(Kind.APPLY, step)
        yield _Tell(Kind.DONE, step)
        if step in course.barriers:
            yield _Transfer(True, course.send_seconds, half_trip)
            yield _Barrier()
            yield _Transfer(False, course.receive_seconds, half_trip)


class _Client:
    """A client on its way."""

    def __init__(self, name: str, course: Course, conditions: Conditions) -> None:
        self.name, self.course, self.conditions = name, course, conditions
        self.parts = _parts(course)
        self.jitter = _factors(conditions, conditions.scenario.jitter)
        self.rounds_left = len(course.barriers)
        self.gone = False


def _factors(conditions: Conditions, jitter: float) -> Iterator[float]:
    """Lognormal with mean 1 and standard deviation `jitter`."""
    random = conditions.random("jitter")
    variance = math.log1p(jitter**2)
    while True:
        yield float(random.lognormal(-variance / 2, math.sqrt(variance))) if jitter else 1.0


class _Rounds:
    """Who is in the round that is under way, who waits for its end, and who for the next one."""

    def __init__(self) -> None:
        self.members: set[int] = set()
        self.waiting: set[int] = set()
        self.late: set[int] = set()

    def over(self) -> bool:
        return self.waiting >= self.members and bool(self.waiting or self.late)


class _Clock:
    def __init__(
        self, courses: Mapping[str, Course], scenario: Scenario, accelerators: int
    ) -> None:
        self.clients = [
            _Client(name, course, scenario.of(name)) for name, course in courses.items()
        ]
        times = [course.times for course in courses.values()]
        self.up = SharedLink([one.up_share for one in times])
        self.down = SharedLink([one.down_share for one in times])
        self.free = [0.0] * accelerators
        """When each accelerator is."""
        self.queue: list[tuple[float, int, int]] = []
        """(time, turn, client): what happens next, but on the links."""
        self.transfers: dict[int, _Transfer] = {}
        """By client: messages that have not begun yet."""
        self.rounds = _Rounds()
        self.turn = 0
        self.now = 0.0

    def run(self) -> Iterator[Event]:
        for number, client in enumerate(self.clients):
            self._at(client.conditions.joins_seconds, number)
        leaves = [
            (seconds, number)
            for number, client in enumerate(self.clients)
            if (seconds := client.conditions.leaves_seconds) is not None
        ]
        leaves.sort(reverse=True)
        begun: set[int] = set()
        while True:
            next_queue = self.queue[0][0] if self.queue else math.inf
            next_leave = leaves[-1][0] if leaves else math.inf
            ends = (next_leave, self.up.next(), self.down.next(), next_queue)
            self.now = min(ends)
            if math.isinf(self.now):
                return
            which = ends.index(self.now)
            if which == 0:
                yield from self._leave(leaves.pop()[1], begun)
                continue
            if which == 1:
                number = self.up.end(self.now)[0]
            elif which == 2:
                number = self.down.end(self.now)[0]
            else:
                number = heapq.heappop(self.queue)[2]
                if number not in begun:
                    begun.add(number)
                    if self._waits_to_join(number):
                        continue
            yield from self._go_on(number)

    def _at(self, seconds: float, number: int) -> None:
        self.turn += 1
        heapq.heappush(self.queue, (seconds, self.turn, number))

    def _waits_to_join(self, number: int) -> bool:
        """A latecomer waits for the next round where one is under way."""
        client, rounds = self.clients[number], self.rounds
        if not client.rounds_left or client.gone:
            return False
        late = bool(rounds.members) and client.conditions.joins_seconds > 0
        (rounds.late if late else rounds.members).add(number)
        return late

    def _leave(self, number: int, begun: set[int]) -> Iterator[Event]:
        client, rounds = self.clients[number], self.rounds
        if client.gone:
            return
        client.gone = True
        begun.add(number)
        for group in (rounds.members, rounds.waiting, rounds.late):
            group.discard(number)
        yield Event(self.now, Kind.LEAVE, client.name)
        yield from self._close_round()

    def _go_on(self, number: int) -> Iterator[Event]:
        """The client's next parts, up to one that takes time."""
        client = self.clients[number]
        if client.gone:
            return
        if number in self.transfers:
            self._begin_transfer(number, self.transfers.pop(number))
            return
        for part in client.parts:
            if isinstance(part, _Tell):
                yield Event(self.now, part.kind, client.name, part.step)
            elif isinstance(part, _Barrier):
                client.rounds_left -= 1
                self.rounds.waiting.add(number)
                yield from self._close_round()
                return
            else:
                self._spend(number, client, part)
                return
        client.gone = True

    def _spend(self, number: int, client: _Client, part: _Compute | _Transfer | _Serve) -> None:
        conditions, factor = client.conditions, next(client.jitter)
        if isinstance(part, _Compute):
            seconds = part.seconds * factor * conditions.device_factor(self.now)
            self._at(conditions.done(self.now, seconds), number)
        elif isinstance(part, _Serve):
            start = max(self.now, self.free[0])
            heapq.heapreplace(self.free, start + part.seconds * factor)
            self._at(start + part.seconds * factor, number)
        else:
            slowed = factor * conditions.link_factor(self.now)
            self.transfers[number] = _Transfer(part.up, part.seconds * slowed, 0.0)
            ready = self.now + part.latency_seconds
            self._at(conditions.up_again(ready), number)

    def _begin_transfer(self, number: int, transfer: _Transfer) -> None:
        link = self.up if transfer.up else self.down
        link.start(self.now, number, transfer.seconds)

    def _close_round(self) -> Iterator[Event]:
        rounds = self.rounds
        if not rounds.over():
            return
        waited, late = sorted(rounds.waiting), sorted(rounds.late)
        if waited:
            names = tuple(self.clients[number].name for number in waited)
            yield Event(self.now, Kind.AVERAGE, members=names)
        rounds.members = {n for n in (*waited, *late) if self.clients[n].rounds_left}
        rounds.waiting, rounds.late = set(), set()
        for number in (*waited, *late):
            self._at(self.now, number)


def steps_until(
    courses: Mapping[str, Course], scenario: Scenario, seconds: float, accelerators: int = 1
) -> dict[str, int]:
    """Steps that each client has done by `seconds`."""
    done = dict.fromkeys(courses, 0)
    for event in events(courses, scenario, accelerators):
        if event.seconds > seconds:
            break
        if event.kind is Kind.DONE:
            done[event.client] += 1
    return done


def rounds_of(steps: int, round_steps: int, until: int | None = None) -> frozenset[int]:
    """The steps after which a round ends: every `round_steps`, and the last one, as far as `until`
    steps (all where nothing is said). 10 steps in rounds of 4 end after steps 3, 7 and 9."""
    last = steps if until is None else until
    return frozenset(
        min(end, last) - 1 for end in range(round_steps, last + round_steps, round_steps)
    )
