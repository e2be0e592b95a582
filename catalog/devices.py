"""Device types and links by name, for fleets of machines that can't be probed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import UnknownNameError
from .device import Device, Link
from .files import Contract, read_contract

_DATA = Path(__file__).parent / "data"


class _DeviceFile(Contract):
    devices: tuple[Device, ...]


class _LinkFile(Contract):
    links: tuple[Link, ...]


@cache
def _devices() -> dict[str, Device]:
    file = read_contract(_DeviceFile, _DATA / "devices.yaml")
    return {device.name: device for device in file.devices}


@cache
def _links() -> dict[str, Link]:
    file = read_contract(_LinkFile, _DATA / "links.yaml")
    return {link.name: link for link in file.links}


def device_names() -> list[str]:
    """In the file's order: from the smallest kind to servers."""
    return list(_devices())


def link_names() -> list[str]:
    return list(_links())


def device_type(name: str) -> Device:
    """Raises UnknownNameError."""
    if name not in _devices():
        raise UnknownNameError("device type", name, device_names())
    return _devices()[name]


def link_type(name: str) -> Link:
    """Raises UnknownNameError."""
    if name not in _links():
        raise UnknownNameError("link", name, link_names())
    return _links()[name]
