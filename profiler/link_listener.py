"""The other end of `flexp probe --server`: echoes and takes or sends random bytes, within caps.

One device is measured at a time. Nobody is asked who they are and nothing of the machine is told;
what a stranger can cost is bounded by the caps of link_protocol.py. Stop it after use.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import psutil

from ..catalog.units import format_bytes
from ..errors import FieldError
from . import link_protocol as protocol
from .link_protocol import Kind, Peer, ProtocolError, show_address

MAX_CONNECTIONS = 8
"""Open at a time, those included that only hear that the listener is busy."""
POLL_SECONDS = 0.25
"""How soon a stop is noticed: a blocked accept can't be interrupted on Windows."""

Log = Callable[[str], None]


@dataclass
class Session:
    """What one connection has asked for."""

    echoes: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    datagrams: int = 0

    def __str__(self) -> str:
        return (
            f"{self.echoes} echoes, {format_bytes(self.up_bytes)} up, "
            f"{format_bytes(self.down_bytes)} down, {self.datagrams} datagrams"
        )


class Listener:
    """Listens from construction; `serve` answers until `close` is called.

    An empty host means all addresses of the machine. Raises FieldError for an address that can't
    be listened on.
    """

    def __init__(self, host: str, port: int, log: Log) -> None:
        self._log = log
        self._stopped = threading.Event()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._measuring = threading.Lock()
        self._sessions: dict[bytes, Session] = {}
        try:
            self._tcp = _bind(socket.SOCK_STREAM, host, port)
            try:
                self.port: int = self._tcp.getsockname()[1]
                self._udp = _bind(socket.SOCK_DGRAM, host, self.port)
            except OSError:
                self._tcp.close()
                raise
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise FieldError(
                f"--listen: cannot listen on {show_address(host or '*', port)} ({reason})",
                "choose another port, or an address of this machine",
            ) from None

        self._tcp.settimeout(POLL_SECONDS)
        self._udp.settimeout(POLL_SECONDS)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stopped.set()
        self._tcp.close()
        self._udp.close()

    def serve(self) -> None:
        threading.Thread(target=self._answer_datagrams, daemon=True).start()
        while not self._stopped.is_set():
            try:
                connection, address = self._tcp.accept()
            except TimeoutError:
                continue
            except OSError:  # a peer that left before it was accepted, or `close`
                self._stopped.wait(POLL_SECONDS)
                continue
            if self._slots.acquire(blocking=False):
                work = (connection, _plain(address[0]))
                threading.Thread(target=self._handle, args=work, daemon=True).start()
            else:
                connection.close()

    def _handle(self, connection: socket.socket, who: str) -> None:
        session = Session()
        try:
            with connection:
                self._talk(Peer(connection), session, who)
        except ProtocolError as error:
            self._log(f"{who}: refused, {error}")
        except OSError as error:
            self._log(f"{who}: ended ({error}) after {session}")
        finally:
            self._slots.release()

    def _talk(self, peer: Peer, session: Session, who: str) -> None:
        peer.allow(protocol.HELLO_SECONDS)
        if peer.receive_header() != (Kind.HELLO, 0):
            raise ProtocolError("it did not say hello")
        if not self._measuring.acquire(blocking=False):
            peer.send(Kind.BUSY)
            self._log(f"{who}: told to come later, another device is being measured")
            return
        token = secrets.token_bytes(protocol.TOKEN_BYTES)
        self._sessions[token] = session
        try:
            self._log(f"{who}: measuring")
            peer.send(Kind.HELLO, len(token), token)
            end = time.monotonic() + protocol.SESSION_SECONDS
            while True:
                peer.allow(min(protocol.REQUEST_SECONDS, end - time.monotonic()))
                request = peer.receive_header()
                if request is None:
                    break
                _answer(peer, session, *request)
            self._log(f"{who}: done, {session}")
        finally:
            del self._sessions[token]
            self._measuring.release()

    def _answer_datagrams(self) -> None:
        """Send datagrams of open sessions back where they came from."""
        while not self._stopped.is_set():
            try:
                content, sender = self._udp.recvfrom(2 * protocol.DATAGRAM_BYTES)
                found = protocol.read_datagram(content)
                session = self._sessions.get(found[1]) if found else None
                if session and session.datagrams < protocol.MAX_SESSION_DATAGRAMS:
                    session.datagrams += 1
                    self._udp.sendto(content, sender)
            except OSError:  # nothing came, or an earlier answer could not be delivered
                continue


def _answer(peer: Peer, session: Session, kind: Kind, size: int) -> None:
    """Answer one request, its size checked before anything is read or sent."""
    if kind is Kind.ECHO:
        _check(size, protocol.ECHO_BYTES)
        content = peer.receive(size)
        peer.send(Kind.ECHO, size, content)
        session.echoes += 1
        return
    left = protocol.MAX_SESSION_BYTES - session.up_bytes - session.down_bytes
    _check(size, min(protocol.MAX_TRANSFER_BYTES, left))
    if kind is Kind.UP:
        session.up_bytes += size
        seen = peer.discard(size)
        peer.send(Kind.UP, protocol.TRANSFER.size, protocol.TRANSFER.pack(*seen))
    elif kind is Kind.DOWN:
        session.down_bytes += size
        peer.send(Kind.DOWN, size)
        peer.send_random(size)
    else:
        raise ProtocolError(f"{kind.name} is no request")


def _check(size: int, most: int) -> None:
    if not 0 < size <= most:
        raise ProtocolError(f"it asked for {size} bytes, 1 to {most} are allowed")


def _bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A bound socket, listening if it is TCP. No host: IPv4 and IPv6 where the system can."""
    if host:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
    elif socket.has_dualstack_ipv6():
        family, address = socket.AF_INET6, ("::", port)
    else:
        family, address = socket.AF_INET, ("0.0.0.0", port)
    bound = socket.socket(family, kind)
    try:
        if not host and family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM and hasattr(socket, "SO_REUSEPORT"):  # not on Windows
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if kind == socket.SOCK_STREAM:
            bound.listen(MAX_CONNECTIONS)
    except OSError:
        bound.close()
        raise
    return bound


def _plain(address: str) -> str:
    """An IPv4 address as such where a socket for both shows it as ::ffff:192.0.2.1."""
    return address.removeprefix("::ffff:")


def own_addresses() -> list[str]:
    """Addresses at which other machines may find this one; none where they may not be read."""
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:
        return []
    found = [
        entry.address
        for entries in interfaces.values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return [a for a in found if not a.startswith(("127.", "::1", "169.254.", "fe80:"))]
