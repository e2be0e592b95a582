"""Many threads ask, one answers: what has arrived is served together.

Each client's thread, or each connection of a network, submits its messages one by one and waits for
the answers. A single worker takes all that wait, serves them, and takes what arrived meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType

from ..errors import FlexpError, RunError

Serve = Callable[[Sequence[bytes]], list[bytes | FlexpError]]
"""Answers to messages in order of arrival, such as Server.handle_all."""


class Dispatcher:
    """A context: inside, `submit` may be called from any thread.

    `window_seconds` is how long the first message may wait for others to come; 0, the default,
    waits for nobody. No wait goes on once `expected` messages are there, as many as can come at a
    time, such as one of each client.
    """

    def __init__(
        self,
        serve: Serve,
        *,
        window_seconds: float = 0.0,
        expected: int | None = None,
    ) -> None:
        self.serve, self.window_seconds, self.expected = serve, window_seconds, expected
        self._arrived: SimpleQueue[tuple[bytes, Future[bytes]] | None] = SimpleQueue()
        self._closed = False
        self._lock = Lock()
        self._worker = Thread(target=self._work, name="flexp server", daemon=True)

    def __enter__(self) -> Dispatcher:
        self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Serve what has arrived, then stop."""
        with self._lock:
            self._closed = True
            self._arrived.put(None)
        self._worker.join()

    def submit(self, data: bytes) -> bytes:
        """The answer; raises the error that the message causes, RunError after the end."""
        answer: Future[bytes] = Future()
        with self._lock:
            if self._closed:
                raise RunError("the server has stopped")
            self._arrived.put((data, answer))
        return answer.result()

    def _work(self) -> None:
        while (first := self._arrived.get()) is not None:
            batch, last = self._with_those_that_come(first)
            self._answer(batch)
            if last:
                break

    def _with_those_that_come(
        self, first: tuple[bytes, Future[bytes]]
    ) -> tuple[list[tuple[bytes, Future[bytes]]], bool]:
        """The batch that `first` begins, and whether it is the last."""
        batch = [first]
        end = time.monotonic() + self.window_seconds
        while True:
            complete = self.expected is not None and len(batch) >= self.expected
            left = 0.0 if complete else max(0.0, end - time.monotonic())
            try:
                more = self._arrived.get(timeout=left) if left else self._arrived.get_nowait()
            except Empty:
                return batch, False
            if more is None:
                return batch, True
            batch.append(more)

    def _answer(self, batch: list[tuple[bytes, Future[bytes]]]) -> None:
        try:
            answers = self.serve([data for data, _ in batch])
        except Exception as error:  # a mistake of the server's: each asker is told, the rest go on
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, FlexpError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
