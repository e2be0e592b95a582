"""From a fleet file to a fleet whose devices and links are all known."""

from __future__ import annotations

from pathlib import Path

from ..catalog.device import Device, Link
from ..catalog.files import read_contract
from ..catalog.lines import Place
from ..errors import FieldError
from .fleet import ClientEntry, Fleet, Policy, ResolvedClient, ResolvedFleet, ResolvedServer
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
    return ResolvedFleet(
        name=fleet.name,
        servers=_servers(fleet, files[-1], devices, links),
        clients=tuple(
            _client(entry, part.folder, place, fleet.policy, devices, links)
            for entry, part, place in entries
        ),
        policy=fleet.policy.model_copy(
            update={"codec": None, "codecs": fleet.policy.allowed_codecs}
        ),
        path=path,
    )


def _own_devices(files: list[Part]) -> dict[str, Device]:
    return by_name(
        "devices",
        (
            (name, device, part.place("devices", name))
            for part in files
            for name, device in part.content.devices.items()
        ),
    )


def _own_links(files: list[Part]) -> dict[str, Link]:
    return by_name(
        "links",
        (
            (name, link, part.place("links", name))
            for part in files
            for name, link in part.content.links.items()
        ),
    )


def _servers(
    fleet: Fleet, part: Part, devices: Lookup[Device], links: Lookup[Link]
) -> tuple[ResolvedServer, ...]:
    """With the device's power where the entry has none."""
    places = [
        part.place("servers", number, who=f"server {entry.name!r}")
        if fleet.servers
        else part.place("server", who="server")
        for number, entry in enumerate(fleet.server_entries)
    ]
    check_members("servers", zip(fleet.server_entries, places, strict=True))
    found = []
    for entry, place in zip(fleet.server_entries, places, strict=True):
        device = devices(entry.device, part.folder, place / "device")
        link = links(entry.link, part.folder, place / "link")
        if link.data_budget_bytes is not None:
            raise FieldError(
                f"{place / 'link'}link {link.name!r} has a data budget, which only clients' "
                "links may have",
                "give the server another link, or set the budget on the clients' links",
            )
        found.append(
            ResolvedServer(
                name=entry.name,
                count=entry.count,
                device=device,
                link=link,
                accelerators=entry.accelerators,
                energy_watts=device.watts if entry.energy_watts is None else entry.energy_watts,
                cost_per_hour=entry.cost_per_hour,
            )
        )
    return tuple(found)


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
