"""`flexp quickstart`: probe, profile, plan and train on one machine, as a user would type it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..errors import MissingFileError
from . import render

MODEL = "minilm-l6"
DATA = "20newsgroups"
EXAMPLE_FLEET = Path(__file__).parent.parent / "examples" / "quickstart.yaml"


def quickstart(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go.")
    ] = Path("flexp-quickstart"),
) -> None:
    """Probe this machine, profile a small model, plan a small fleet and train it."""
    write_fleet(folder)
    for line in command_lines(folder):
        run_as_typed(context, line)


def write_fleet(folder: Path) -> None:
    """Copy the example fleet into `folder`, where the commands and the reader find it."""
    from ..catalog.files import write_atomic

    if not EXAMPLE_FLEET.is_file():
        raise MissingFileError(EXAMPLE_FLEET)
    write_atomic(folder / "fleet.yaml", EXAMPLE_FLEET.read_text(encoding="utf-8"))


def command_lines(folder: Path) -> list[str]:
    """The four commands in order."""
    device, fleet, profile, plan, run = (
        shlex.quote(str(folder / name))
        for name in ("device.yaml", "fleet.yaml", "profile.json", "plan.yaml", "run")
    )
    return [
        f"flexp probe {MODEL} -o {device}",
        f"flexp profile {MODEL} -o {profile}",
        f"flexp plan {fleet} --profile {profile} -o {plan}",
        f"flexp train {plan} --data {DATA} -o {run}",
    ]


def run_as_typed(context: typer.Context, line: str) -> None:
    """Print `line` and run exactly it: the words go through the same parser as typed ones."""
    render.console().print(f"\n$ {line}", style="bold green", markup=False, soft_wrap=True)
    program, *words = shlex.split(line)
    code = context.find_root().command.main(words, prog_name=program, standalone_mode=False)
    if code:
        raise typer.Exit(code)
