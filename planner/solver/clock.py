"""When to stop: a time limit, a callback, or Ctrl-C."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Counts down from a limit and keeps the seconds of each phase."""

    def __init__(self, limit_seconds: float, stop: Callable[[], bool] | None = None) -> None:
        self._begin = time.monotonic()
        self._end = self._begin + limit_seconds
        self._stop = stop
        self.stopped = False
        """Whether the callback or Ctrl-C asked for the end."""
        self.seconds: dict[str, float] = {}

    def over(self) -> bool:
        if self._stop is not None and self._stop():
            self.stopped = True
        return self.stopped or time.monotonic() >= self._end

    def left(self) -> float:
        return 0.0 if self.stopped else max(0.0, self._end - time.monotonic())

    def spent(self) -> float:
        return time.monotonic() - self._begin

    def stop(self) -> None:
        self.stopped = True

    def part(self, limit_seconds: float) -> Clock:
        """A clock that ends after this many seconds, or with this one."""
        return _Part(self, min(limit_seconds, self.left()))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


class _Part(Clock):
    def __init__(self, whole: Clock, limit_seconds: float) -> None:
        super().__init__(limit_seconds)
        self._whole = whole

    def over(self) -> bool:
        return self._whole.over() or super().over()

    def stop(self) -> None:
        self._whole.stop()


def endless() -> Clock:
    return Clock(math.inf)
