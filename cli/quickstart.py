"""`flexp quickstart`: probe, profile, plan and train on one machine, as a user would type it."""

from __future__ import annotations

import shlex
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from . import render

MODEL = "minilm-l6"
LENGTH = 48
"""Tokens a document: short, so that the demo takes a few minutes on two cores."""
DATA = "20newsgroups"
TRAIN_SAMPLES, TEST_SAMPLES = 80, 50
EXAMPLE_FLEET = Path(__file__).parent.parent / "examples" / "quickstart.yaml"


def quickstart(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go.")
    ] = Path("flexp-quickstart"),
) -> None:
    """Probe this machine, profile a small model, plan a small fleet and train it."""
    from ..catalog.files import write_atomic

    write_atomic(folder / "fleet.yaml", EXAMPLE_FLEET.read_text(encoding="utf-8"))
    for line in command_lines(folder):
        run_as_typed(context, line)


def command_lines(folder: Path) -> list[str]:
    """The four commands in order."""
    device, fleet, profile, plan, run = (
        shlex.quote(str(path))
        for path in (
            folder / "device.yaml",
            folder / "fleet.yaml",
            folder / "profile.json",
            folder / "plan.yaml",
            new_run_folder(folder),
        )
    )
    return [
        f"flexp probe {MODEL} --length {LENGTH} -o {device}",
        f"flexp profile {MODEL} --length {LENGTH} -o {profile}",
        f"flexp plan {fleet} --profile {profile} -o {plan}",
        f"flexp train {plan} --data {DATA} --train-samples {TRAIN_SAMPLES} "
        f"--test-samples {TEST_SAMPLES} -o {run}",
    ]


def new_run_folder(folder: Path) -> Path:
    """run, or the first of run-2, run-3, ... that is free: earlier runs are kept."""
    names = (f"run-{number}" if number > 1 else "run" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def run_as_typed(context: typer.Context, line: str) -> None:
    """Print `line` and run exactly it: the words go through the same parser as typed ones."""
    render.console().print(f"\n$ {line}", style="bold green", markup=False, soft_wrap=True)
    program, *words = shlex.split(line)
    code = context.find_root().command.main(words, prog_name=program, standalone_mode=False)
    if code:
        raise typer.Exit(code)
