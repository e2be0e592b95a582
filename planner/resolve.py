"""From a fleet file to a fleet whose devices and links are all known."""

from __future__ import annotations

from pathlib import Path

from ..catalog.device import Device, Link
from ..catalog.devices import device_names, device_type, link_names, link_type
from ..catalog.files import read_contract
from ..errors import FieldError, MissingFileError, UnknownNameError
from .fleet import Fleet, ResolvedClient, ResolvedFleet, ResolvedServer

FILE_SUFFIXES = (".yaml", ".yml", ".json")
"""A device or link with one of these endings is a file, otherwise a type of the catalogue."""


def read_fleet(path: Path) -> ResolvedFleet:
    """The fleet in `path`; device and link files are looked for beside it.

    Raises MissingFileError, SyntaxFileError, FieldError or UnknownNameError, which name the file
    and the client.
    """
    return resolve(read_contract(Fleet, path), path.parent, path)


def resolve(fleet: Fleet, folder: Path, path: Path | None = None) -> ResolvedFleet:
    """`fleet` with names looked up and each client's `min_depth` filled in: the larger one of its
    own and the policy's. `path` is the file that it came from, for messages."""
    file = f"{path}: " if path else ""
    server = ResolvedServer(
        device=find_device(fleet.server.device, folder, f"{file}server: "),
        link=_link(fleet.server.link, folder, f"{file}server: "),
    )
    if server.link.data_budget_bytes is not None:
        raise FieldError(
            f"{file}server: link {server.link.name!r} has a data budget, which only clients' "
            "links may have",
            "give the server another link, or set the budget on the clients' links",
        )
    clients = tuple(
        ResolvedClient(
            name=client.name,
            device=find_device(client.device, folder, f"{file}client {client.name!r}: "),
            link=_link(client.link, folder, f"{file}client {client.name!r}: "),
            min_depth=max(client.min_depth or 1, fleet.policy.min_depth),
        )
        for client in fleet.clients
    )
    return ResolvedFleet(
        name=fleet.name, server=server, clients=clients, policy=fleet.policy, path=path
    )


def find_device(device: str | Device, folder: Path, where: str) -> Device:
    """The figures of a device given as a catalogue type, a file (looked for in `folder`), or
    themselves; `where` begins the messages. Raises as `read_fleet`."""
    if isinstance(device, Device):
        return device
    if device.endswith(FILE_SUFFIXES):
        file = folder / device
        if not file.is_file():
            raise MissingFileError(
                f"{where}device {file}", "`flexp probe -o FILE` writes the figures of a machine"
            )
        return read_contract(Device, file)
    if device not in device_names():
        raise UnknownNameError("device type", device, device_names(), where)
    return device_type(device)


def _link(link: str | Link, folder: Path, where: str) -> Link:
    if isinstance(link, Link):
        return link
    if link.endswith(FILE_SUFFIXES):
        file = folder / link
        if not file.is_file():
            raise MissingFileError(
                f"{where}link {file}",
                "`flexp probe --server HOST:PORT --link-output FILE` measures a link",
            )
        return read_contract(Link, file)
    if link not in link_names():
        raise UnknownNameError("link", link, link_names(), where)
    return link_type(link)
