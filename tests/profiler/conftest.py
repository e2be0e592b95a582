"""A tiny model's folder, and a listener that is quick."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flexp.profiler import link_listener, link_probe
from flexp.profiler import link_protocol as protocol
from flexp.profiler.link_listener import Listener

from .loopback import Served
from .probing import TINY_BERT


@pytest.fixture
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_TRANSFER_BYTES", 2**20)
    monkeypatch.setattr(link_probe, "DATAGRAM_PAUSE_SECONDS", 0.0002)
    monkeypatch.setattr(link_probe, "LEAST_REPLY_SECONDS", 0.05)
    monkeypatch.setattr(link_listener, "POLL_SECONDS", 0.02)


@pytest.fixture
def served(small_and_quick: None) -> Iterator[Served]:
    said: list[str] = []
    with Listener("127.0.0.1", 0, said.append) as listener:
        thread = threading.Thread(target=listener.serve)
        thread.start()
        yield Served(listener, said)
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def connect(served: Served) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", served.port), timeout=10))
        return opened[-1]

    yield one
    for connection in opened:
        connection.close()


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps(TINY_BERT), encoding="utf-8")
    return str(tmp_path)
