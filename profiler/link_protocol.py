"""How a probe and a listener talk: headers of 16 bytes, sizes with hard caps, no identities.

Over TCP the probe sends requests, one after the other, each a header and perhaps bytes:

    HELLO              the listener answers HELLO and the session's token [8]
    ECHO size          and `size` bytes: the same comes back
    UP size            and `size` bytes: UP and the listener's `Transfer` come back
    DOWN size          DOWN and `size` random bytes come back

A listener that measures another device answers BUSY; a request that breaks the rules below ends
the connection without an answer. Over UDP, on the same port number, datagrams of `DATAGRAM_BYTES`
that carry the token of an open session come back as they are: the token keeps the listener from
answering forged senders, and no answer is larger than its request.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from enum import IntEnum
from typing import NamedTuple

from ..errors import FieldError

MAGIC, VERSION = b"FXLP", 1
HEADER = struct.Struct("!4sBBHQ")
"""Magic, version, kind, zero, size."""
TRANSFER = struct.Struct("!Qd")
DATAGRAM = struct.Struct("!4sBBHI8s")
"""Magic, version, kind, zero, number, token; zeros follow up to DATAGRAM_BYTES."""

TOKEN_BYTES = 8
DATAGRAM_BYTES = 200
ECHO_BYTES = 64
MAX_TRANSFER_BYTES = 64 << 20
MAX_SESSION_BYTES = 1 << 30
"""Up and down together."""
MAX_SESSION_DATAGRAMS = 1000
HELLO_SECONDS = 3.0
"""A peer that does not say hello in this time is not waited for."""
REQUEST_SECONDS = 20.0
SESSION_SECONDS = 120.0
CHUNK_BYTES = 1 << 18


class Kind(IntEnum):
    HELLO = 1
    ECHO = 2
    UP = 3
    DOWN = 4
    BUSY = 5
    DATAGRAM = 6


class ProtocolError(Exception):
    """The peer sent what this protocol does not allow."""


class Transfer(NamedTuple):
    """Bytes that arrived after the first ones did, and the seconds between: the rate as the
    receiver saw it, without the round trip of the request."""

    size: int
    seconds: float

    @property
    def bits_per_second(self) -> float | None:
        """None if everything came at once."""
        return 8 * self.size / self.seconds if self.size and self.seconds > 0 else None


class Peer:
    """A TCP connection on which every operation ends by a deadline.

    Methods raise ProtocolError, or OSError (TimeoutError among them) when the connection fails.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self._deadline = math.inf

    def allow(self, seconds: float) -> None:
        """Everything until the next call of this must be over in `seconds`."""
        self._deadline = time.monotonic() + seconds

    def _limit_time(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.connection.settimeout(None if left == math.inf else left)

    def send(self, kind: Kind, size: int = 0, content: bytes = b"") -> None:
        self._limit_time()
        self.connection.sendall(HEADER.pack(MAGIC, VERSION, kind, 0, size) + content)

    def receive_header(self) -> tuple[Kind, int] | None:
        """(kind, size); None if the peer closed the connection instead."""
        head = self._read(HEADER.size, may_end=True)
        if head is None:
            return None
        magic, version, kind, zero, size = HEADER.unpack(head)
        if magic != MAGIC or zero != 0:
            raise ProtocolError("it does not speak the probe's protocol")
        if version != VERSION:
            raise ProtocolError(f"it speaks version {version} of the protocol, this is {VERSION}")
        if kind not in list(Kind):
            raise ProtocolError(f"there is no request of kind {kind}")
        return Kind(kind), size

    def receive(self, size: int) -> bytes:
        """The next `size` bytes, which the caller has checked to be few."""
        found = self._read(size)
        assert found is not None
        return found

    def _read(self, size: int, may_end: bool = False) -> bytes | None:
        found = b""
        while len(found) < size:
            self._limit_time()
            part = self.connection.recv(size - len(found))
            if not part:
                if may_end and not found:
                    return None
                raise ConnectionError("the connection was closed")
            found += part
        return found

    def send_random(self, size: int) -> None:
        """`size` bytes that no link can compress; one chunk of them again and again."""
        chunk = memoryview(os.urandom(min(size, CHUNK_BYTES)))
        for start in range(0, size, CHUNK_BYTES):
            self._limit_time()
            self.connection.sendall(chunk[: size - start])

    def discard(self, size: int) -> Transfer:
        """Receive `size` bytes and drop them."""
        buffer = bytearray(CHUNK_BYTES)
        left, first, start = size, 0, 0.0
        while left:
            self._limit_time()
            count = self.connection.recv_into(buffer, min(left, CHUNK_BYTES))
            if not count:
                raise ConnectionError("the connection was closed")
            if not first:
                first, start = count, time.perf_counter()
            left -= count
        return Transfer(size - first, time.perf_counter() - start if size else 0.0)


def datagram(number: int, token: bytes) -> bytes:
    head = DATAGRAM.pack(MAGIC, VERSION, Kind.DATAGRAM, 0, number, token)
    return head.ljust(DATAGRAM_BYTES, b"\0")


def read_datagram(content: bytes) -> tuple[int, bytes] | None:
    """(number, token); None for anything that is no datagram of this protocol."""
    if len(content) != DATAGRAM_BYTES:
        return None
    magic, version, kind, zero, number, token = DATAGRAM.unpack_from(content)
    if (magic, version, kind, zero) != (MAGIC, VERSION, Kind.DATAGRAM, 0):
        return None
    return number, token


def parse_address(text: str, option: str, default_host: str | None = None) -> tuple[str, int]:
    """(host, port) of "HOST:PORT" or "[IPv6]:PORT"; of "PORT" too where there is a default host.

    Raises FieldError naming `option`.
    """
    host, colon, port = text.rpartition(":")
    if not colon and default_host is not None:
        host = default_host
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16) or (colon and not host):
        raise FieldError(
            f"{option}: expected {'HOST:PORT' if default_host is None else '[HOST:]PORT'}, "
            f"found {text!r}",
            "a port is a number up to 65535; an IPv6 address stands in brackets: [::1]:7070",
        )
    if not host and default_host is None:
        raise FieldError(
            f"{option}: expected HOST:PORT, found {text!r}", "name the host: host.example:7070"
        )
    return host, int(port)


def show_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
