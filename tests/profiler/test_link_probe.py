"""What the probe makes of a listener, of a bad link, and of a server that is none."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from flexp.errors import FlexpError, UnreachableError
from flexp.profiler import link_probe
from flexp.profiler import link_protocol as protocol
from flexp.profiler.link_listener import Listener
from flexp.profiler.link_probe import ROUNDS, jitter, measure_link
from flexp.profiler.link_protocol import Kind, Peer, Transfer
from flexp.profiler.link_report import LinkReport

from .loopback import Served

KIB = 2**10
SENT = ROUNDS * link_probe.DATAGRAMS
pytestmark = pytest.mark.usefixtures("small_and_quick")


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
