"""What words of an inventory mean in a fleet file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ...catalog.device import Device, Link
from ...catalog.devices import device_names, link_names
from ...errors import UnknownNameError
from ..lookup import FILE_SUFFIXES

T = TypeVar("T", Device, Link)


@dataclass(frozen=True)
class Spec(Generic[T]):
    """What a client's `device` or `link` says, and the figures that go with it."""

    name: str
    figures: T | None = None
    """None: the name is the catalogue's, or a file's."""


@dataclass(frozen=True)
class Meanings:
    """What the person who imports says. Raises UnknownNameError for what is not in the catalogue
    and no file."""

    devices: Mapping[str, str] = field(default_factory=dict)
    """A cell of device, gpu or cpu to a device type."""
    links: Mapping[str, str] = field(default_factory=dict)
    """A cell of link or site to a link."""
    link: str | None = None
    """For rows that say none."""

    def __post_init__(self) -> None:
        links = [*self.links.values(), *([self.link] if self.link else [])]
        for option, kind, names, known in (
            ("--device", "device type", [*self.devices.values()], device_names()),
            ("--link", "link", links, link_names()),
        ):
            for name in names:
                if name not in known and not name.endswith(FILE_SUFFIXES):
                    raise UnknownNameError(kind, name, known, f"{option}: ")


def slug(text: str) -> str:
    """As a name in a fleet file: "Hall 3, west" -> "Hall-3-west"."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._") or "x"
