"""The listener on this machine's own loopback: whom it serves, whom it refuses, what it allows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from flexp.errors import FieldError, UnreachableError
from flexp.profiler import link_listener
from flexp.profiler import link_protocol as protocol
from flexp.profiler.link_listener import Listener, own_addresses
from flexp.profiler.link_probe import measure_link
from flexp.profiler.link_protocol import Kind, datagram

from .loopback import Served, hello

KIB, MIB = 2**10, 2**20
pytestmark = pytest.mark.usefixtures("small_and_quick")


def test_one_device_at_a_time(served: Served, connect: Callable[[], socket.socket]) -> None:
    hello(connect())
    with pytest.raises(UnreachableError, match="measuring another device"):
        measure_link("127.0.0.1", served.port)


def test_the_next_device_is_measured_once_the_first_has_left(
    served: Served, connect: Callable[[], socket.socket]
) -> None:
    first = connect()
    hello(first)
    first.close()
    served.wait_for("done")
    hello(connect())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does not speak"),
        (protocol.HEADER.pack(b"FXLP", 9, 1, 0, 0), "version 9"),
        (protocol.HEADER.pack(b"FXLP", 1, 77, 0, 0), "no request of kind 77"),
        (protocol.HEADER.pack(b"FXLP", 1, 1, 5, 0), "does not speak"),
        (protocol.HEADER.pack(b"FXLP", 1, Kind.DOWN, 0, 100), "did not say hello"),
    ],
)
def test_strangers_are_refused_without_an_answer(
    served: Served, connect: Callable[[], socket.socket], content: bytes, said: str
) -> None:
    connection = connect()
    connection.sendall(content)
    with suppress(ConnectionResetError):  # of what it left unread
        assert connection.recv(100) == b""
    served.wait_for(said)
    hello(connect())  # and the listener goes on


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (Kind.ECHO, protocol.ECHO_BYTES + 1),
        (Kind.ECHO, 0),
        (Kind.UP, MIB + 1),
        (Kind.DOWN, 2**63),
        (Kind.DOWN, 0),
        (Kind.HELLO, 8),
        (Kind.BUSY, 8),
    ],
)
def test_oversized_and_odd_requests_end_the_session(
    served: Served, connect: Callable[[], socket.socket], kind: Kind, size: int
) -> None:
    connection = connect()
    peer, _ = hello(connection)
    peer.send(kind, size)
    assert peer.receive_header() is None
    served.wait_for("refused")


def test_a_session_has_a_byte_budget(
    served: Served, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_SESSION_BYTES", 100 * KIB)
    peer, _ = hello(connect())
    for size in (60 * KIB, 40 * KIB):
        peer.send(Kind.DOWN, size)
        assert peer.receive_header() == (Kind.DOWN, size)
        peer.discard(size)
    peer.send(Kind.DOWN, 1)
    assert peer.receive_header() is None
    served.wait_for("1 to 0 are allowed")


def test_a_silent_peer_is_not_waited_for(
    served: Served, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HELLO_SECONDS", 0.05)
    connect()
    served.wait_for("ended (timed out)")
    monkeypatch.undo()
    hello(connect())


def test_a_peer_that_stalls_in_a_request_frees_the_listener(
    served: Served, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.2)
    peer, _ = hello(connect())
    peer.send(Kind.UP, MIB)
    end = time.monotonic() + 10
    while not any("timed out" in line for line in served.said) and time.monotonic() < end:
        try:
            peer.connection.send(b"x")  # byte by byte: each recv of the listener succeeds
        except OSError:
            break
        time.sleep(0.02)
    served.wait_for("timed out")
    hello(connect())


def test_a_session_ends_in_time_however_busy(
    served: Served, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SESSION_SECONDS", 0.2)
    peer, _ = hello(connect())
    with pytest.raises((OSError, AssertionError)):
        for _ in range(1000):
            peer.send(Kind.ECHO, 1, b"x")
            assert peer.receive_header() == (Kind.ECHO, 1)
            peer.receive(1)
            time.sleep(0.01)
    served.wait_for("timed out")


def test_too_many_connections_are_closed(
    served: Served, connect: Callable[[], socket.socket]
) -> None:
    idle = [connect() for _ in range(link_listener.MAX_CONNECTIONS)]
    one_more = connect()
    assert one_more.recv(1) == b""
    assert all(connection.fileno() > 0 for connection in idle)


def test_only_datagrams_of_an_open_session_come_back(
    served: Served, connect: Callable[[], socket.socket]
) -> None:
    first = connect()
    _, token = hello(first)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
        udp.connect(("127.0.0.1", served.port))
        good = datagram(7, token)
        for bad in (b"", b"x", good[:-1], good + b"\0", datagram(7, bytes(8)), bytes(200)):
            udp.send(bad)
        udp.send(good)
        udp.settimeout(5)
        assert udp.recv(1000) == good
        first.close()
        served.wait_for("done")
        udp.send(good)
        udp.settimeout(0.1)
        with pytest.raises(TimeoutError):
            udp.recv(1000)


def test_a_session_has_a_datagram_budget(
    served: Served, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_SESSION_DATAGRAMS", 2)
    _, token = hello(connect())
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
        udp.connect(("127.0.0.1", served.port))
        udp.settimeout(0.5)
        for number in range(3):
            udp.send(datagram(number, token))
        assert [udp.recv(1000) for _ in range(2)] == [datagram(0, token), datagram(1, token)]
        with pytest.raises(TimeoutError):
            udp.recv(1000)


def test_a_port_in_use_is_named(served: Served) -> None:
    with pytest.raises(FieldError, match=f"cannot listen on 127.0.0.1:{served.port}"):
        Listener("127.0.0.1", served.port, print)


def test_all_addresses_are_listened_on() -> None:
    said: list[str] = []
    with Listener("", 0, said.append) as listener:
        threading.Thread(target=listener.serve, daemon=True).start()
        assert measure_link("127.0.0.1", listener.port).loss_share == 0
    assert said[0] == "127.0.0.1: measuring"


def test_addresses_to_connect_to_leave_out_the_loopback() -> None:
    assert not {"127.0.0.1", "::1"} & set(own_addresses())
