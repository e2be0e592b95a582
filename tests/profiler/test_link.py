"""The link's probe and its listener on this machine's own loopback, and peers that misbehave."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
from flexp.catalog.device import Link
from flexp.errors import FieldError, FlexpError, UnreachableError
from flexp.profiler import link_listener, link_probe
from flexp.profiler import link_protocol as protocol
from flexp.profiler.link_listener import Listener, own_addresses
from flexp.profiler.link_probe import ROUNDS, jitter, measure_link
from flexp.profiler.link_protocol import Kind, Peer, Transfer, datagram, parse_address
from flexp.profiler.link_report import LinkReport
from flexp.profiler.spread import Spread

KIB, MIB = 2**10, 2**20
SENT = ROUNDS * link_probe.DATAGRAMS


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


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_TRANSFER_BYTES", MIB)
    monkeypatch.setattr(link_probe, "DATAGRAM_PAUSE_SECONDS", 0.0002)
    monkeypatch.setattr(link_probe, "LEAST_REPLY_SECONDS", 0.05)
    monkeypatch.setattr(link_listener, "POLL_SECONDS", 0.02)


@pytest.fixture
def served() -> Iterator[Served]:
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


def hello(connection: socket.socket) -> tuple[Peer, bytes]:
    peer = Peer(connection)
    peer.allow(10)
    peer.send(Kind.HELLO)
    assert peer.receive_header() == (Kind.HELLO, protocol.TOKEN_BYTES)
    return peer, peer.receive(protocol.TOKEN_BYTES)


def test_every_figure_is_measured_with_its_spread(served: Served) -> None:
    found = measure_link("127.0.0.1", served.port)
    assert found.notes == ()
    assert found.server == f"127.0.0.1:{served.port}"
    rates = (found.up_bits_per_second, found.down_bits_per_second)
    spreads = (*rates, found.rtt_seconds, found.jitter_seconds, found.loss)
    assert [spread and spread.samples for spread in spreads] == [5, 5, 100, 5, 5]
    assert all(spread and spread.min <= spread.median <= spread.max for spread in spreads)
    assert all(rate and rate.min > 0 for rate in rates)
    assert (found.datagrams_sent, found.datagrams_lost, found.loss_share) == (SENT, 0, 0)
    assert LinkReport.model_validate_json(found.model_dump_json()) == found
    link = found.link()
    assert found.rtt_seconds is not None
    assert link.rtt_seconds == found.rtt_seconds.median > 0
    line = served.wait_for("done")
    assert f"{SENT} datagrams" in line
    assert "MiB up" in line


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


def dropping(listener: Listener, keep: Callable[[int], bool]) -> None:
    """The listener's UDP side, but for the datagrams whose number is not to be kept."""
    answer = listener._udp.recvfrom

    class Dropping:
        def __init__(self, udp: socket.socket) -> None:
            self._udp = udp

        def recvfrom(self, size: int) -> tuple[bytes, object]:
            content, sender = answer(size)
            found = protocol.read_datagram(content)
            return (content if found and keep(found[0]) else b""), sender

        def __getattr__(self, name: str) -> object:
            return getattr(self._udp, name)

    listener._udp = Dropping(listener._udp)


@pytest.mark.parametrize(
    ("keep", "lost", "spread"),
    [
        (lambda number: number % 4 != 0, SENT // 4, (0.25, 0.25)),
        (lambda number: number < 160, 40, (0.0, 1.0)),
    ],
)
def test_loss_is_counted_by_round(
    keep: Callable[[int], bool], lost: int, spread: tuple[float, float]
) -> None:
    with Listener("127.0.0.1", 0, lambda text: None) as listener:
        dropping(listener, keep)
        threading.Thread(target=listener.serve, daemon=True).start()
        found = measure_link("127.0.0.1", listener.port)
    assert (found.datagrams_sent, found.datagrams_lost) == (SENT, lost)
    assert found.loss is not None
    assert (found.loss.min, found.loss.max) == spread
    assert found.loss_share == lost / SENT


def test_blocked_udp_leaves_the_loss_unknown() -> None:
    with Listener("127.0.0.1", 0, lambda text: None) as listener:
        dropping(listener, lambda number: False)
        threading.Thread(target=listener.serve, daemon=True).start()
        found = measure_link("127.0.0.1", listener.port)
    assert (found.loss, found.loss_share, found.datagrams_sent) == (None, None, 80)
    assert found.rtt_seconds is not None
    assert "UDP is blocked" in found.notes[0]
    assert "loss unknown" in found.link().source


def stub(answers: Callable[[socket.socket], None]) -> tuple[int, threading.Thread]:
    """A server of one connection that does as `answers` says; (its port, its thread)."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.settimeout(10)
            answers(connection)
            connection.shutdown(socket.SHUT_WR)  # a close with unread bytes would drop the answer
            with suppress(OSError):
                while connection.recv(1000):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server.getsockname()[1], thread


def greeting(connection: socket.socket) -> None:
    connection.recv(protocol.HEADER.size)
    connection.sendall(protocol.HEADER.pack(b"FXLP", 1, Kind.HELLO, 0, 8) + bytes(8))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.7\r\n"), "does not speak"),
        (lambda connection: None, "not as a listener"),
        (
            lambda connection: connection.sendall(protocol.HEADER.pack(b"FXLP", 2, 1, 0, 8)),
            "version 2",
        ),
        (
            lambda connection: connection.sendall(protocol.HEADER.pack(b"FXLP", 1, 1, 0, 2**40)),
            "greeting",
        ),
    ],
)
def test_another_service_is_told_from_a_listener(
    answers: Callable[[socket.socket], None], said: str
) -> None:
    port, _ = stub(answers)
    with pytest.raises(UnreachableError, match=said):
        measure_link("127.0.0.1", port)


def test_a_listener_that_says_nothing_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_probe, "CONNECT_SECONDS", 0.1)
    port, _ = stub(lambda connection: time.sleep(0.5))
    with pytest.raises(UnreachableError, match="timed out"):
        measure_link("127.0.0.1", port)


def test_a_closed_port_and_an_unknown_host() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnreachableError, match="refused") as raised:
        measure_link("127.0.0.1", port)
    assert "--listen" in raised.value.hint
    for host in ("no-such-host.invalid", "a" * 300):
        with pytest.raises(UnreachableError):
            measure_link(host, port)


def test_a_connection_that_breaks_leaves_notes() -> None:
    """Two echoes come back, then the listener is gone."""

    def answers(connection: socket.socket) -> None:
        greeting(connection)
        for _ in range(3):
            connection.sendall(connection.recv(1000))

    port, _ = stub(answers)
    found = measure_link("127.0.0.1", port)
    assert found.rtt_seconds is not None
    assert found.rtt_seconds.samples == 2  # the first echo does not count
    assert (found.up_bits_per_second, found.down_bits_per_second, found.loss) == (None, None, None)
    assert [note.split(" could")[0] for note in found.notes] == [
        "the round trip",
        "the rate up",
        "the rate down",
        "loss",
    ]
    with pytest.raises(FlexpError, match="could not be measured"):
        found.link()


@pytest.mark.parametrize("seen", [(2**40, 1.0), (5, -1.0), (5, float("nan")), (5, float("inf"))])
def test_figures_that_no_listener_can_have_seen_are_not_believed(seen: tuple[int, float]) -> None:
    answer = protocol.HEADER.pack(b"FXLP", 1, Kind.UP, 0, 16) + struct.pack("!Qd", *seen)
    port, _ = stub(lambda connection: connection.sendall(answer))
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        pytest.raises(protocol.ProtocolError, match="bytes took"),
    ):
        link_probe._up(Peer(connection), 100)


def test_rates_leave_the_slow_start_out() -> None:
    """A link of 10 Mbit/s, at first at half of it: 16, 64 and 256 KiB are not counted."""
    asked: list[int] = []

    def transfer(size: int) -> Transfer:
        asked.append(size)
        return Transfer(size, 8 * size / (5e6 if len(asked) < 4 else 1e7))

    assert link_probe._rates(transfer) == [pytest.approx(1e7)] * 5
    assert asked == [16 * KIB, 64 * KIB, 256 * KIB, *[312_500] * 5]


def test_a_transfer_that_takes_too_long_is_the_only_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_probe, "DIRECTION_SECONDS", -1.0)
    assert link_probe._rates(lambda size: Transfer(size, 16.0)) == [pytest.approx(8192)]


def test_transfers_that_come_at_once_have_no_rate() -> None:
    assert Transfer(0, 0.0).bits_per_second is None
    assert link_probe._rates(lambda size: Transfer(0, 0.0)) == []


@pytest.mark.parametrize(
    ("rates", "pause"),
    [([], 0.05), ([1e5, 1e9], 0.05), ([256e3], 0.025), ([1e9], 0.01)],
)
def test_datagrams_leave_room_on_a_slow_link(
    monkeypatch: pytest.MonkeyPatch, rates: list[float], pause: float
) -> None:
    monkeypatch.setattr(link_probe, "DATAGRAM_PAUSE_SECONDS", 0.01)
    assert link_probe._pause_seconds(rates) == pause


def test_jitter() -> None:
    assert jitter([0.010, 0.012, 0.009]) == pytest.approx(0.0025)


def test_a_report_becomes_a_link() -> None:
    def spread(median: float) -> Spread:
        return Spread(min=median / 2, median=median, max=2 * median, samples=5)

    found = LinkReport(
        machine="board",
        server="desk:7070",
        date="2026-11-01",
        up_bits_per_second=spread(8e6),
        down_bits_per_second=spread(30e6),
        rtt_seconds=spread(0.05),
        jitter_seconds=spread(0.002),
        loss=spread(0.01),
        datagrams_sent=200,
        datagrams_lost=3,
    )
    assert found.link() == Link(
        name="board to desk:7070",
        up_bits_per_second=8e6,
        down_bits_per_second=30e6,
        rtt_seconds=0.05,
        source="measured by flexp probe on 2026-11-01, medians: up 4 Mbit/s to 16 Mbit/s in 5 "
        "rounds, down 15 Mbit/s to 60 Mbit/s in 5 rounds, round trip 25 ms to 100 ms, jitter 2 ms, "
        "loss 1.50%",
    )


@pytest.mark.parametrize(
    ("text", "default", "address"),
    [
        ("host.example:7070", None, ("host.example", 7070)),
        ("192.0.2.1:1", None, ("192.0.2.1", 1)),
        ("[::1]:7070", None, ("::1", 7070)),
        ("7070", "", ("", 7070)),
        ("127.0.0.1:0", "", ("127.0.0.1", 0)),
    ],
)
def test_addresses(text: str, default: str | None, address: tuple[str, int]) -> None:
    assert parse_address(text, "--server", default) == address


@pytest.mark.parametrize(
    "text", ["", "host", "7070", ":7070", "host:", "host:x", "host:70000", "host:-1", "::1:7070"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(FieldError, match="--server: expected HOST:PORT"):
        parse_address(text, "--server")


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
