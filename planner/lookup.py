"""Devices and links by what a fleet calls them: figures, a name of its own, a file, or a type of
the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from ..catalog.device import Device, Link
from ..catalog.devices import device_names, device_type, link_names, link_type
from ..catalog.files import read_contract
from ..errors import MissingFileError, UnknownNameError

FILE_SUFFIXES = (".yaml", ".yml", ".json")
"""A device or link with one of these endings is a file, otherwise a name."""

T = TypeVar("T", Device, Link)


@dataclass(frozen=True)
class Lookup(Generic[T]):
    """All that can be named of one kind; what was found is kept, so that a fleet's equal devices
    are one object."""

    contract: type[T]
    noun: str
    """Of a catalogue entry, for messages."""
    file_noun: str
    file_hint: str
    names: Callable[[], list[str]]
    entry: Callable[[str], T]
    own: Mapping[str, T] = field(default_factory=dict)
    """The fleet's own, which go before the catalogue's."""
    found: dict[tuple[str, Path], T] = field(default_factory=dict)

    def __call__(self, value: str | T, folder: Path, where: object) -> T:
        """The figures of `value`; files are looked for in `folder`, and `where` begins the
        messages. Raises MissingFileError, SyntaxFileError, FieldError or UnknownNameError."""
        if not isinstance(value, str):
            return value
        if value in self.own:
            return self.own[value]
        key = (value, folder)
        if key not in self.found:
            self.found[key] = self._find(value, folder, where)
        return self.found[key]

    def _find(self, value: str, folder: Path, where: object) -> T:
        if value.endswith(FILE_SUFFIXES):
            file = folder / value
            if not file.is_file():
                raise MissingFileError(f"{where}{self.file_noun} {file}", self.file_hint)
            return read_contract(self.contract, file)
        known: list[str] = self.names()
        if value not in known:
            raise UnknownNameError(self.noun, value, [*self.own, *known], str(where))
        return self.entry(value)


def device_lookup(own: Mapping[str, Device] | None = None) -> Lookup[Device]:
    return Lookup(
        Device,
        "device type",
        "device",
        "`flexp probe -o FILE` writes the figures of a machine",
        device_names,
        device_type,
        own or {},
    )


def link_lookup(own: Mapping[str, Link] | None = None) -> Lookup[Link]:
    return Lookup(
        Link,
        "link",
        "link",
        "`flexp probe --server HOST:PORT --link-output FILE` measures a link",
        link_names,
        link_type,
        own or {},
    )


def find_device(device: str | Device, folder: Path, where: object) -> Device:
    """One device, without a fleet; see `Lookup`."""
    return device_lookup()(device, folder, where)
