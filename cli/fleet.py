"""`flexp fleet`: is a fleet file as it was meant, and a fleet file from an inventory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError
from . import options, render

if TYPE_CHECKING:
    from ..profiler.profile import Profile

fleet = typer.Typer(no_args_is_help=True, help="Check fleet files, and make them of inventories.")


@fleet.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FLEET.yaml", help="Clients, servers and policy.")
    ],
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile",
            metavar="FILE",
            help="A profile that `flexp profile -o` wrote, to see who can't take part.",
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Read a fleet file and all that it names, and show what flexp understands.

    Mistakes are told with file, line and field, up to twenty at once.
    """
    from ..planner.fleet_summary import summarise
    from ..planner.resolve import read_fleet

    found = summarise(read_fleet(file), _profile(profile))
    if as_json:
        render.print_json(found)
        return
    from . import fleet_display

    fleet_display.show(found, file)


@fleet.command("import")
def import_inventory(
    inventory: Annotated[
        Path, typer.Argument(metavar="INVENTORY.csv", help="A row for each device, or kind of it.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.yaml",
            show_default="stdout",
            help="Write the clients, for a fleet file to include.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="FIELD=HEADER",
            help="Which column holds a field, such as device=Model; FIELD= leaves it out.",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="TEXT=TYPE", help="The device type that a cell's text stands for."
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(
            "--link",
            metavar="[TEXT=]LINK",
            help="The link that a cell's text or a site stands for; without TEXT=, of all rows "
            "that say none.",
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="An entry for each named row, no classes.")
    ] = False,
) -> None:
    """Make a fleet file's clients of an inventory: classes of equal devices, by site.

    Columns are found by their headers (name, count, site, device or cpu, gpu, ram, flops, link or
    up, down, rtt; docs/fleet.md lists all); those not understood are said and left out.
    """
    render.check_output(output, suffixes=(".yaml", ".yml"))
    columns, devices = _pairs("--column", column), _pairs("--device", device)
    links = _pairs("--link", [text for text in link or [] if "=" in text])
    everywhere = [text for text in link or [] if "=" not in text]
    if len(everywhere) > 1:
        raise FieldError(
            f"--link: {' and '.join(everywhere)} can't both be of all rows",
            "name the text or the site that one of them stands for: --link 'TEXT=LINK'",
        )
    from ..planner.inventory.classes import import_rows
    from ..planner.inventory.meanings import Meanings
    from ..planner.inventory.reading import read_inventory
    from ..planner.inventory.writing import fragment_text

    meanings = Meanings(devices, links, everywhere[0] if everywhere else None)
    found = read_inventory(inventory, columns)
    imported = import_rows(found.rows, meanings, each)
    if found.ignored:
        render.note(f"columns left out: {', '.join(found.ignored)}")
    clients = imported.fragment.clients
    members = sum(client.count for client in clients)
    text = fragment_text(imported, f"{members} devices of {inventory.name}, by flexp fleet import.")
    if output is None:
        sys.stdout.write(text)
        return
    render.write_bytes(text.encode(), output)
    to = render.console()
    to.print(f"{members:,} devices in {len(clients):,} entries")
    to.print(f"\nnext: include: [{output.name}] in a fleet file", style="bold", markup=False)


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """TEXT=VALUE as a mapping; FieldError for what is none."""
    pairs = {}
    for text in given or []:
        key, sign, value = text.rpartition("=")
        if not sign or not key:
            raise FieldError(f"{option}: expected two words with = between, found {text!r}")
        pairs[key.strip()] = value.strip()
    return pairs


def _profile(path: Path | None) -> Profile | None:
    if path is None:
        return None
    from ..catalog.files import read_contract
    from ..profiler.profile import Profile

    return read_contract(Profile, path)
