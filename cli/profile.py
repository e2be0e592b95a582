"""`flexp profile`: what one training step of a model costs, unit by unit and depth by depth."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError, MissingExtraError
from . import options, profile_display, render

if TYPE_CHECKING:
    from ..catalog.device import Device
    from ..profiler.by_depth import DepthFigures
    from ..profiler.placement import Placement
    from ..profiler.profile import Profile

HeadName = Literal["device", "server"]  # as HeadOn in profiler/placement.py: a test compares them

SPLIT = "How it is split"
PLOT_SUFFIXES = (".png", ".svg")
STDOUT = Path("-")


def profile(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A catalogue name, a folder or a hub id.")
    ],
    task: options.TaskOption = None,
    labels: options.LabelsOption = None,
    batch: options.BatchOption = None,
    length: options.LengthOption = None,
    method: options.MethodOption = None,
    rank: options.RankOption = None,
    targets: options.TargetsOption = None,
    dtype: options.DtypeOption = None,
    optimizer: options.OptimizerOption = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME|FILE",
            help="A catalogue device type, or a file of flexp probe -o: adds its process, and "
            "shows which depths fit it.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=0,
            show_default="0",
            help="Last blocks that the device keeps too.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    head: Annotated[
        HeadName | None,
        typer.Option(
            "--head",
            show_default="device",
            help="Who has the head; on the server, labels leave the device.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    checkpointing: Annotated[
        bool,
        typer.Option(
            "--checkpointing",
            help="The device's blocks keep only their inputs, and run forward twice.",
            rich_help_panel=SPLIT,
        ),
    ] = False,
    output: Annotated[Path | None, options.output_option("the profile")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE|-", help="Write the figures of every depth (.csv; -: stdout)."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw memory and FLOPs by depth (.png or .svg)."
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compute what one training step of MODEL costs: FLOPs, memory and bytes of each unit, and
    what a device needs for each depth, the number of blocks that it trains.

    --json and -o give the profile, as flexp plan --profile reads it; --csv gives the depths.
    """
    settings = options.settings_from(
        options.given_settings(task, labels, batch, length, method, rank, targets, dtype, optimizer)
    )
    split = {
        "--device": device,
        "--top": top,
        "--head": head,
        "--checkpointing": checkpointing or None,
    }
    shaped = [name for name, value in split.items() if value is not None]
    _check_outputs(output, csv, plot, as_json, shaped)
    from ..planner.resolve import find_device
    from ..profiler.cache import cached_profile
    from ..profiler.placement import Placement

    placement = Placement(1, top or 0, head or "device", checkpointing)
    on = find_device(device, Path(), "--device: ") if device is not None else None
    with render.spinner(f"profiling {model}"):
        found = cached_profile(model, settings)
    reading = _read(found, placement, on, needs_depths=bool(shaped or csv or plot))
    _write(reading, output, csv, plot)
    if as_json:
        render.print_json(found)
    elif csv != STDOUT:
        profile_display.show(reading)


def _read(
    found: Profile, placement: Placement, device: Device | None, needs_depths: bool
) -> profile_display.Reading:
    """The profile by depth, with the codec and server side that a fleet has by default. A model of
    one block has no depths: PlanError where they are needed."""
    from ..planner.fleet import Policy
    from ..profiler.by_depth import by_depth

    codec, server_side = Policy().codec, Policy().server_side
    runtime_bytes = device.runtime_bytes if device else 0
    depths: tuple[DepthFigures, ...] = ()
    if found.blocks > 1 or needs_depths:
        depths = by_depth(found, placement, codec, server_side, runtime_bytes)
    return profile_display.Reading(found, placement, codec, device, depths)


def _write(
    reading: profile_display.Reading, output: Path | None, csv: Path | None, plot: Path | None
) -> None:
    from .profile_plot import draw

    picture = draw(reading, plot.suffix) if plot is not None else b""
    if output is not None:
        render.write_output(reading.profile, output)
    if plot is not None:
        render.write_bytes(picture, plot)
    if csv == STDOUT:
        sys.stdout.write(profile_display.csv_text(reading.depths))
    elif csv is not None:
        render.write_bytes(profile_display.csv_text(reading.depths).encode(), csv)


def _check_outputs(
    output: Path | None, csv: Path | None, plot: Path | None, as_json: bool, shaped: list[str]
) -> None:
    """Raise now for what would fail, or be without effect, when the profile is there."""
    render.check_output(output)
    if csv != STDOUT:
        render.check_output(csv, "--csv", (".csv",))
    render.check_output(plot, "--plot", PLOT_SUFFIXES)
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "report")
    if as_json and csv == STDOUT:
        raise FieldError("--csv -: --json prints to stdout too", "give --csv a file")
    if as_json and shaped and csv is None and plot is None:
        raise FieldError(
            f"{shaped[0]}: has no effect with --json, which prints the profile of the whole model",
            "add --csv FILE or --plot FILE, which hold the figures of every depth",
        )
