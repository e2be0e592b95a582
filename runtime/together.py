"""Steps of several clients at the same time, so that the server serves their messages together.

Each step has a thread of its own, but one computes at a time: a client goes on until it has sent a
message, then the next one does. When all of them wait, the server gets what they sent as one batch,
in the order of the clients. So a group of steps gives the same bits every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TypeVar

from .dispatch import Serve
from .wire import Deliver

T = TypeVar("T")


class _StoppedError(Exception):
    """The group is given up."""


class _Lane:
    """A step on its way: what it sends, None at its end, and what it is answered."""

    def __init__(self) -> None:
        self.sent: SimpleQueue[bytes | None] = SimpleQueue()
        self.answers: SimpleQueue[bytes | Exception] = SimpleQueue()

    def ask(self, message: bytes) -> bytes:
        self.sent.put(message)
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Together:
    """Between the clients' wires, which call `deliver`, and a server that serves batches."""

    def __init__(self, alone: Deliver, serve: Serve, places: int) -> None:
        """`alone` answers one message, `serve` a batch; `places` is the largest group."""
        self.alone, self.serve = alone, serve
        self._threads = ThreadPoolExecutor(places, "step")
        self._carried = threading.local()

    def deliver(self, message: bytes) -> bytes:
        """The answer, with those to the rest of the group. What comes from elsewhere than a
        group's own threads, such as parts of a batch, which have theirs, is answered at once."""
        lane: _Lane | None = getattr(self._carried, "lane", None)
        return self.alone(message) if lane is None else lane.ask(message)

    def run(self, steps: Sequence[Callable[[], T]]) -> list[T]:
        """What each of `steps` returns. An error of one is raised when all have ended."""
        if len(steps) == 1:
            return [steps[0]()]
        lanes, futures = [_Lane() for _ in steps], []
        try:
            sent: list[tuple[_Lane, bytes]] = []
            for lane, step in zip(lanes, steps, strict=True):
                futures.append(self._threads.submit(self._carry, lane, step))
                sent += _next_message(lane)
            while sent:
                answers = self.serve([message for _, message in sent])
                asked, sent = sent, []
                for (lane, _), answer in zip(asked, answers, strict=True):
                    lane.answers.put(answer)
                    sent += _next_message(lane)
        finally:
            for lane in lanes:
                lane.answers.put(_StoppedError())  # for those that wait, where this was cut off
            wait(futures)
        return [future.result() for future in futures]

    def _carry(self, lane: _Lane, step: Callable[[], T]) -> T:
        self._carried.lane = lane
        try:
            return step()
        finally:
            del self._carried.lane
            lane.sent.put(None)


def _next_message(lane: _Lane) -> list[tuple[_Lane, bytes]]:
    """Of a step that computes now; nothing where it ends."""
    message = lane.sent.get()
    return [] if message is None else [(lane, message)]
