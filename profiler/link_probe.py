"""Measuring the link to a machine where `flexp probe --listen` runs."""

from __future__ import annotations

import math
import platform
import socket
import statistics
import time
from collections.abc import Callable
from datetime import date
from itertools import pairwise

from ..errors import UnreachableError
from . import link_protocol as protocol
from .link_protocol import Kind, Peer, ProtocolError, Transfer, show_address
from .link_report import LinkReport
from .spread import Spread

CONNECT_SECONDS = 5.0
ROUNDS = 5
ROUND_SECONDS = 0.5
"""Each transfer is sized to last about this long."""
DIRECTION_SECONDS = 15.0
"""No further round begins after this; the same holds for the echoes."""
FIRST_TRANSFER_BYTES = 16 << 10
ECHOES, DATAGRAMS = 20, 40
"""Of a round."""
DATAGRAM_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.05
DATAGRAM_SHARE = 0.25
"""Of the link's rate: within the pauses above, datagrams take no more, or they lose each other."""
LEAST_REPLY_SECONDS, MOST_REPLY_SECONDS = 0.5, 2.0
"""How long the last reply of a round is waited for: four round trips, within these."""
HINT = "is `flexp probe --listen PORT` running there, and does a firewall let the port through?"

Transfers = Callable[[int], Transfer]


def measure_link(host: str, port: int) -> LinkReport:
    """Measure the link to the listener at (host, port): up to about a minute on a bad link.

    Raises UnreachableError if no listener answers. Once one has, what fails is a note.
    """
    server = show_address(host, port)
    with _connect(host, port, server) as connection:
        peer = Peer(connection)
        token = _say_hello(peer, server)
        notes: list[str] = []

        def attempt(what: str, measure: Callable[[], list[float]]) -> list[float]:
            try:
                return measure()
            except (OSError, ProtocolError) as error:
                notes.append(f"{what} could not be measured: {error}")
                return []

        rounds: list[list[float]] = []
        attempt("the round trip", lambda: _echo_rounds(peer, rounds))
        rtts = [rtt for found in rounds for rtt in found]
        up = attempt("the rate up", lambda: _rates(lambda size: _up(peer, size)))
        down = attempt("the rate down", lambda: _rates(lambda size: _down(peer, size)))
        for name, rates in (("up", up), ("down", down)):
            if 0 < len(rates) < ROUNDS:
                notes.append(
                    f"the rate {name} has {len(rates)} samples only: a transfer takes too long"
                )
        wait = 4 * statistics.median(rtts) if rtts else MOST_REPLY_SECONDS
        wait = min(max(wait, LEAST_REPLY_SECONDS), MOST_REPLY_SECONDS)
        pause = _pause_seconds([*up, *down])
        losses = attempt("loss", lambda: _losses(peer, token, pause, wait))
    if losses and min(losses) == 1.0:
        notes.append(
            f"no UDP datagram came back from {server}: UDP is blocked on the way (or at the "
            "listener), so the loss is unknown; TCP hides it"
        )
    known = bool(losses) and min(losses) < 1.0
    return LinkReport(
        machine=platform.node() or "this-machine",
        server=server,
        date=date.today().isoformat(),
        up_bits_per_second=Spread.of(up),
        down_bits_per_second=Spread.of(down),
        rtt_seconds=Spread.of(rtts),
        jitter_seconds=Spread.of([jitter(found) for found in rounds if len(found) > 1]),
        loss=Spread.of(losses) if known else None,
        datagrams_sent=len(losses) * DATAGRAMS,
        datagrams_lost=round(sum(losses) * DATAGRAMS),
        notes=tuple(notes),
    )


def jitter(rtts: list[float]) -> float:
    """Mean absolute difference of consecutive samples: of 10, 12 and 9 ms it is 2.5 ms."""
    return statistics.fmean(abs(b - a) for a, b in pairwise(rtts))


def _connect(host: str, port: int, server: str) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    except socket.gaierror as error:
        raise UnreachableError(
            f"{server}: the host's name is not known ({error.strerror})", "check its spelling"
        ) from None
    except TimeoutError:
        raise UnreachableError(f"{server}: no answer in {CONNECT_SECONDS:g} s", HINT) from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreachableError(f"{server}: {reason}", HINT) from None


def _say_hello(peer: Peer, server: str) -> bytes:
    """The session's token."""
    peer.allow(CONNECT_SECONDS)
    try:
        peer.send(Kind.HELLO)
        answer = peer.receive_header()
        if answer == (Kind.BUSY, 0):
            raise UnreachableError(
                f"{server}: the listener is measuring another device",
                "try again in a minute: two at a time would measure each other",
            )
        if answer != (Kind.HELLO, protocol.TOKEN_BYTES):
            raise ProtocolError("it did not answer the greeting")
        return peer.receive(protocol.TOKEN_BYTES)
    except (OSError, ProtocolError) as error:
        raise UnreachableError(
            f"{server}: answers, but not as a listener of flexp does ({error})", HINT
        ) from None


def _echo_rounds(peer: Peer, rounds: list[list[float]]) -> list[float]:
    """Append each round's RTTs to `rounds`, so that those before a failure are kept."""
    end = time.monotonic() + DIRECTION_SECONDS
    _echo(peer)  # the first one wakes radios and caches
    for _ in range(ROUNDS):
        rounds.append([])
        for _ in range(ECHOES):
            if time.monotonic() > end and rounds[0]:
                return []
            rounds[-1].append(_echo(peer))
    return []


def _echo(peer: Peer) -> float:
    content = bytes(protocol.ECHO_BYTES)
    peer.allow(protocol.REQUEST_SECONDS)
    start = time.perf_counter()
    peer.send(Kind.ECHO, len(content), content)
    _expect(peer, Kind.ECHO, len(content))
    peer.receive(len(content))
    return time.perf_counter() - start


def _expect(peer: Peer, kind: Kind, size: int) -> None:
    answer = peer.receive_header()
    if answer is None:
        raise ConnectionError("the listener closed the connection")
    if answer != (kind, size):
        raise ProtocolError(f"the listener answered {answer} to {kind.name} {size}")


def _up(peer: Peer, size: int) -> Transfer:
    peer.allow(protocol.REQUEST_SECONDS)
    peer.send(Kind.UP, size)
    peer.send_random(size)
    _expect(peer, Kind.UP, protocol.TRANSFER.size)
    seen = Transfer(*protocol.TRANSFER.unpack(peer.receive(protocol.TRANSFER.size)))
    if seen.size > size or not 0 <= seen.seconds < math.inf:
        raise ProtocolError(f"the listener says that {size} bytes took {seen}")
    return seen


def _down(peer: Peer, size: int) -> Transfer:
    peer.allow(protocol.REQUEST_SECONDS)
    peer.send(Kind.DOWN, size)
    _expect(peer, Kind.DOWN, size)
    return peer.discard(size)


def _rates(transfer: Transfers) -> list[float]:
    """Bits per second of ROUNDS transfers. Growing ones go before, which are not counted: they
    find the size and let TCP leave its slow start. Where one of them takes too long, it is the
    only sample."""
    end = time.monotonic() + DIRECTION_SECONDS
    size = FIRST_TRANSFER_BYTES
    while True:
        seen = transfer(size)
        if seen.seconds >= ROUND_SECONDS / 2 or size == protocol.MAX_TRANSFER_BYTES:
            break
        size = min(4 * size, protocol.MAX_TRANSFER_BYTES)
    rates = [rate] if (rate := seen.bits_per_second) and time.monotonic() > end else []
    if rate:
        size = min(
            max(round(rate * ROUND_SECONDS / 8), FIRST_TRANSFER_BYTES), protocol.MAX_TRANSFER_BYTES
        )
    for _ in range(ROUNDS):
        if time.monotonic() > end:
            break
        if rate := transfer(size).bits_per_second:
            rates.append(rate)
    return rates


def _pause_seconds(rates: list[float]) -> float:
    """Between two datagrams: `_pause_seconds([1e5])`, at 100 kbit/s, is the longest one."""
    if not rates:
        return LONGEST_PAUSE_SECONDS
    pause = 8 * protocol.DATAGRAM_BYTES / (DATAGRAM_SHARE * min(rates))
    return min(max(pause, DATAGRAM_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def _losses(peer: Peer, token: bytes, pause_seconds: float, wait_seconds: float) -> list[float]:
    """The share of datagrams lost in each round; two rounds without a reply end it."""
    losses: list[float] = []
    with socket.socket(peer.connection.family, socket.SOCK_DGRAM) as udp:
        udp.connect(peer.connection.getpeername())
        for number in range(ROUNDS):
            _echo(peer)  # or the listener takes the session for a dead one
            numbers = range(number * DATAGRAMS, (number + 1) * DATAGRAMS)
            back = _datagram_round(udp, token, numbers, pause_seconds, wait_seconds)
            losses.append(1 - back / DATAGRAMS)
            if losses == [1.0, 1.0]:
                break
    return losses


def _datagram_round(
    udp: socket.socket, token: bytes, numbers: range, pause_seconds: float, wait_seconds: float
) -> int:
    """How many of the datagrams with these numbers came back."""
    back: set[int] = set()
    start = time.monotonic()
    for index, number in enumerate(numbers):
        _send(udp, protocol.datagram(number, token))
        _gather(udp, token, back, numbers, start + (index + 1) * pause_seconds)
    _gather(udp, token, back, numbers, time.monotonic() + wait_seconds)
    return len(back)


def _send(udp: socket.socket, content: bytes) -> None:
    try:
        udp.settimeout(1.0)
        udp.send(content)
    except OSError:
        return  # refused, or a full queue: lost, like any other


def _gather(udp: socket.socket, token: bytes, back: set[int], numbers: range, until: float) -> None:
    """Add the numbers of datagrams that come back before `until`, or until all have."""
    while len(back) < len(numbers) and (left := until - time.monotonic()) > 0:
        udp.settimeout(left)
        try:
            found = protocol.read_datagram(udp.recv(2 * protocol.DATAGRAM_BYTES))
        except TimeoutError:
            return
        except OSError:
            continue  # the port is closed, says the host
        if found is not None and found[1] == token and found[0] in numbers:
            back.add(found[0])
