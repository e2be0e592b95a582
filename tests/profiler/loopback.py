"""A listener at work on this machine, and the first words to it."""

from __future__ import annotations

import socket
import time

from flexp.profiler import link_protocol as protocol
from flexp.profiler.link_listener import Listener
from flexp.profiler.link_protocol import Kind, Peer


class Served:
    """A listener at work in a thread, and what it said."""

    def __init__(self, listener: Listener, said: list[str]) -> None:
        self.listener, self.port, self.said = listener, listener.port, said

    def wait_for(self, words: str) -> str:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for line in self.said:
                if words in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"the listener never said {words!r}: {self.said}")


def hello(connection: socket.socket) -> tuple[Peer, bytes]:
    peer = Peer(connection)
    peer.allow(10)
    peer.send(Kind.HELLO)
    assert peer.receive_header() == (Kind.HELLO, protocol.TOKEN_BYTES)
    return peer, peer.receive(protocol.TOKEN_BYTES)
