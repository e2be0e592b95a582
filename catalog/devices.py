"""Device types and links by name, for fleets of machines that can't be probed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import get_args

from ..errors import UnknownNameError
from .device import Device, Link
from .device_type import DeviceType, Kind
from .files import Contract, read_contract

_DATA = Path(__file__).parent / "data"


class _DeviceFile(Contract):
    devices: tuple[DeviceType, ...]


class _LinkFile(Contract):
    links: tuple[Link, ...]


@cache
def _types() -> dict[str, DeviceType]:
    """By name, kind after kind: data/devices has a file for each."""
    files = [
        read_contract(_DeviceFile, _DATA / "devices" / f"{kind}.yaml") for kind in get_args(Kind)
    ]
    return {device.name: device for file in files for device in file.devices}


@cache
def _links() -> dict[str, Link]:
    file = read_contract(_LinkFile, _DATA / "links.yaml")
    return {link.name: link for link in file.links}


def device_types() -> list[DeviceType]:
    """From the smallest kind to GPUs."""
    return list(_types().values())


def device_names() -> list[str]:
    """In the order of `device_types`."""
    return list(_types())


def link_names() -> list[str]:
    return list(_links())


def find_device_type(name: str) -> DeviceType:
    """All that the catalogue has on a type. Raises UnknownNameError."""
    if name not in _types():
        raise UnknownNameError("device type", name, device_names())
    return _types()[name]


def device_type(name: str) -> Device:
    """A type as a fleet takes it. Raises UnknownNameError."""
    return find_device_type(name).device()


def link_type(name: str) -> Link:
    """Raises UnknownNameError."""
    if name not in _links():
        raise UnknownNameError("link", name, link_names())
    return _links()[name]
