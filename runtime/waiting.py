"""How long a client waits for the server's answers."""

from __future__ import annotations

import time
from threading import Lock

from .wire import Deliver


class Waiting:
    """Stands between a wire and what delivers its messages, and counts the seconds during which at
    least one is under way: parts of a batch that overlap are not counted twice."""

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.seconds = 0.0
        self._lock = Lock()
        self._under_way = 0
        self._since = 0.0

    def __call__(self, message: bytes) -> bytes:
        with self._lock:
            if self._under_way == 0:
                self._since = time.monotonic()
            self._under_way += 1
        try:
            return self.deliver(message)
        finally:
            with self._lock:
                self._under_way -= 1
                if self._under_way == 0:
                    self.seconds += time.monotonic() - self._since
