"""Addresses as people type them."""

from __future__ import annotations

import pytest
from flexp.errors import FieldError
from flexp.profiler.link_protocol import parse_address


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
