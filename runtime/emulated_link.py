"""A slow link in real time, for benchmarks and tests: rates up and down, and a round-trip time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .wire import Deliver


class _Direction:
    """One transfer at a time, in the order in which they were handed over."""

    def __init__(self, bits_per_second: float, clock: Callable[[], float]) -> None:
        self.bits_per_second = bits_per_second
        self._clock = clock
        self._free = 0.0
        self._booking = threading.Lock()

    def book(self, size_bytes: int) -> float:
        """When the last bit of a message handed over now will have been sent."""
        with self._booking:
            start = max(self._clock(), self._free)
            self._free = start + 8 * size_bytes / self.bits_per_second
            return self._free


class EmulatedLink:
    """A `Deliver` around another one. A message waits for those before it, is sent at the link's
    rate, and arrives half a round trip later; so does the answer."""

    def __init__(
        self,
        deliver: Deliver,
        *,
        up_bits_per_second: float,
        down_bits_per_second: float,
        rtt_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.deliver = deliver
        self.rtt_seconds = rtt_seconds
        self.up = _Direction(up_bits_per_second, clock)
        self.down = _Direction(down_bits_per_second, clock)
        self._clock, self._sleep = clock, sleep

    def __call__(self, data: bytes) -> bytes:
        self._pass(self.up, data)
        answer = self.deliver(data)
        self._pass(self.down, answer)
        return answer

    def _pass(self, direction: _Direction, data: bytes) -> None:
        arrival = direction.book(len(data)) + self.rtt_seconds / 2
        self._sleep(max(0.0, arrival - self._clock()))
