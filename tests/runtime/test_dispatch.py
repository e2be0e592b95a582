"""The dispatcher: what has arrived is served together, and nobody waits longer than said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch
from flexp.errors import FlexpError, RunError
from flexp.runtime.dispatch import Dispatcher
from flexp.runtime.message import Kind

from .servers import data, new_server, weights


class Echo:
    """Answers with what was asked, and holds the first batch until it is let go."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[bytes]] = []
        self.begun, self.go = Event(), Event()
        if not held:
            self.go.set()

    def __call__(self, messages: Sequence[bytes]) -> list[bytes | FlexpError]:
        self.batches.append(list(messages))
        self.begun.set()
        self.go.wait()
        return [RunError("no") if message == b"bad" else message for message in messages]


def until_waiting(dispatcher: Dispatcher, count: int) -> None:
    while dispatcher._arrived.qsize() < count:
        time.sleep(0.001)


def test_what_arrives_while_the_server_works_is_the_next_batch() -> None:
    serve = Echo(held=True)
    with ThreadPoolExecutor(4) as threads, Dispatcher(serve) as dispatcher:
        first = threads.submit(dispatcher.submit, b"0")
        serve.begun.wait()
        others = [threads.submit(dispatcher.submit, name) for name in (b"1", b"2", b"bad")]
        until_waiting(dispatcher, 3)
        serve.go.set()
        assert first.result() == b"0"
        assert [future.result() for future in others[:2]] == [b"1", b"2"]
        with pytest.raises(RunError, match="no"):
            others[2].result()
    assert [len(batch) for batch in serve.batches] == [1, 3]


def test_a_window_ends_when_all_that_can_come_are_there() -> None:
    serve = Echo()
    with (
        ThreadPoolExecutor(3) as threads,
        Dispatcher(serve, window_seconds=600, expected=3) as dispatcher,
    ):
        futures = [threads.submit(dispatcher.submit, name) for name in (b"1", b"2", b"3")]
        assert sorted(future.result() for future in futures) == [b"1", b"2", b"3"]
    assert [len(batch) for batch in serve.batches] == [3]


def test_a_mistake_of_the_server_is_told_and_the_next_batch_is_served() -> None:
    asked = 0

    def serve(messages: Sequence[bytes]) -> list[bytes | FlexpError]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise KeyError("a mistake")
        return list(messages)

    with Dispatcher(serve) as dispatcher:
        with pytest.raises(KeyError, match="a mistake"):
            dispatcher.submit(b"1")
        assert dispatcher.submit(b"2") == b"2"


def test_after_the_end_nothing_is_taken() -> None:
    with Dispatcher(Echo()) as dispatcher:
        assert dispatcher.submit(b"1") == b"1"
    with pytest.raises(RunError, match="stopped"):
        dispatcher.submit(b"2")


def test_client_threads_train_what_they_would_one_after_the_other() -> None:
    clients = (("ada", 1), ("bo", 1), ("cy", 3))
    server, straight = (new_server("personal", *clients) for _ in range(2))

    def run(submit: object, client: str) -> None:
        for step in range(4):
            for kind in (Kind.FORWARD, Kind.BACKWARD):
                submit(data(kind, client, step))  # type: ignore[operator]

    for name, _ in clients:
        run(straight.handle, name)
    with ThreadPoolExecutor(3) as threads, Dispatcher(server.handle_all) as dispatcher:
        for future in [threads.submit(run, dispatcher.submit, name) for name, _ in clients]:
            future.result()
    expected = weights(straight)
    for name, tensor in weights(server).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-4)
