"""`flexp schema`: the JSON Schema of every file that flexp reads or writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError
from . import render

if TYPE_CHECKING:
    from ..catalog.files import Contract

FileKind = Literal["device", "fleet", "profile", "plan"]


def schema(
    kind: Annotated[
        FileKind | None, typer.Argument(help="One kind of file.", show_default="all of them")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write KIND.schema.json files."),
    ] = None,
) -> None:
    """Print the JSON Schema of the files, for editors and validators."""
    if output is not None and output.exists() and not output.is_dir():
        raise FieldError(f"--output: {output} is a file", "name a folder; the files go into it")
    schemas = {
        name: contract.model_json_schema()
        for name, contract in contracts().items()
        if kind in (None, name)
    }
    if output is not None:
        from ..catalog.files import write_atomic

        for name, content in schemas.items():
            path = output / f"{name}.schema.json"
            write_atomic(path, json.dumps(content, indent=2) + "\n")
            render.note(f"wrote {path}")
        return
    typer.echo(json.dumps(schemas if kind is None else schemas[kind], indent=2))


def contracts() -> dict[str, type[Contract]]:
    """The contract of each kind of file."""
    from ..catalog.device import Device
    from ..planner.fleet import Fleet
    from ..planner.plan import Plan
    from ..profiler.profile import Profile

    return {"device": Device, "fleet": Fleet, "profile": Profile, "plan": Plan}
