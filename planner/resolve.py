"""From a fleet file to a fleet whose devices and links are all known."""

from __future__ import annotations

from pathlib import Path

from ..catalog.device import Device, Link
from ..catalog.files import read_contract
from ..catalog.lines import Place
from ..catalog.problems import Problems
from ..errors import FieldError
from .fleet import (
    ClientEntry,
    Fleet,
    Policy,
    ResolvedClient,
    ResolvedFleet,
    ResolvedServer,
    ServerEntry,
)
from .include import Part, parts
from .lookup import Lookup, device_lookup, link_lookup
from .names import by_name, check_members


def read_fleet(path: Path) -> ResolvedFleet:
    """The fleet in `path` with the files that it includes. Device and link files are looked for
    beside the file that names them.

    Raises MissingFileError, SyntaxFileError, FieldError or UnknownNameError, which name the file,
    the line and the field.
    """
    return resolve(read_contract(Fleet, path), path.parent, path)


def resolve(fleet: Fleet, folder: Path, path: Path | None = None) -> ResolvedFleet:
    """`fleet` with included files read, names looked up and each client's `min_depth` filled in:
    the larger one of its own and the policy's. `path` is the file that it came from, for
    messages. Raises as `read_fleet`."""
    files = parts(fleet, folder, path)
    devices, links = device_lookup(_own_devices(files)), link_lookup(_own_links(files))
    entries = [
        (entry, part, part.place("clients", number, who=f"client {entry.name!r}"))
        for part in files
        for number, entry in enumerate(part.content.clients)
    ]
    if not entries:
        raise FieldError(
            f"{files[-1].place('clients')}the fleet has no clients",
            "list them under clients, or include a file that does",
        )
    check_members("clients", ((entry, place) for entry, _, place in entries))
    problems = Problems()
    servers = _servers(fleet, files[-1], devices, links, problems)
    clients = []
    for entry, part, place in entries:
        with problems.caught():
            clients.append(_client(entry, part.folder, place, fleet.policy, devices, links))
    problems.done()
    return ResolvedFleet(
        name=fleet.name,
        servers=tuple(servers),
        clients=tuple(clients),
        policy=fleet.policy.model_copy(
            update={"codec": None, "codecs": fleet.policy.allowed_codecs}
        ),
        path=path,
    )


def read_lookups(path: Path) -> tuple[Lookup[Device], Lookup[Link]]:
    """What the devices and links of the fleet in `path` may be called: its own names and the
    catalogue's. Raises as `read_fleet`."""
    files = parts(read_contract(Fleet, path), path.parent, path)
    return device_lookup(_own_devices(files)), link_lookup(_own_links(files))


def _own_devices(files: list[Part]) -> dict[str, Device]:
    return by_name(
        "devices",
        (
            (name, Device(**device.model_dump()), part.place("devices", name))
            for part in files
            for name, device in part.content.devices.items()
        ),
    )


def _own_links(files: list[Part]) -> dict[str, Link]:
    return by_name(
        "links",
        (
            (name, Link(**link.model_dump()), part.place("links", name))
            for part in files
            for name, link in part.content.links.items()
        ),
    )


def _servers(
    fleet: Fleet, part: Part, devices: Lookup[Device], links: Lookup[Link], problems: Problems
) -> list[ResolvedServer]:
    places = [
        part.place("servers", number, who=f"server {entry.name!r}")
        if fleet.servers
        else part.place("server", who="server")
        for number, entry in enumerate(fleet.server_entries)
    ]
    entries = list(zip(fleet.server_entries, places, strict=True))
    check_members("servers", entries)
    servers = []
    for entry, place in entries:
        with problems.caught():
            servers.append(_server(entry, part.folder, place, devices, links))
    return servers


def _server(
    entry: ServerEntry, folder: Path, place: Place, devices: Lookup[Device], links: Lookup[Link]
) -> ResolvedServer:
    """With the device's power where the entry has none."""
    device = devices(entry.device, folder, place / "device")
    link = links(entry.link, folder, place / "link")
    if link.data_budget_bytes is not None:
        raise FieldError(
            f"{place / 'link'}link {link.name!r} has a data budget, which only clients' links may "
            "have",
            "give the server another link, or set the budget on the clients' links",
        )
    return ResolvedServer(
        name=entry.name,
        count=entry.count,
        device=device,
        link=link,
        accelerators=entry.accelerators,
        energy_watts=device.watts if entry.energy_watts is None else entry.energy_watts,
        cost_per_hour=entry.cost_per_hour,
    )


def _client(
    entry: ClientEntry,
    folder: Path,
    place: Place,
    policy: Policy,
    devices: Lookup[Device],
    links: Lookup[Link],
) -> ResolvedClient:
    min_depth = max(entry.min_depth or 1, policy.min_depth)
    if entry.max_depth is not None and entry.max_depth < min_depth:
        raise FieldError(
            f"{place / 'max_depth'}{entry.max_depth} is below the policy's min_depth {min_depth}",
            "raise max_depth, or lower policy.min_depth",
        )
    return ResolvedClient(
        name=entry.name,
        count=entry.count,
        device=devices(entry.device, folder, place / "device"),
        link=links(entry.link, folder, place / "link"),
        min_depth=min_depth,
        max_depth=entry.max_depth,
        optional=entry.optional,
        weight=entry.weight,
    )
