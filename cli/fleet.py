"""`flexp fleet`: is a fleet file as it was meant, and a fleet file from an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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


def _profile(path: Path | None) -> Profile | None:
    if path is None:
        return None
    from ..catalog.files import read_contract
    from ..profiler.profile import Profile

    return read_contract(Profile, path)
