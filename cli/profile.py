"""`flexp profile`: what one training step of a model costs, unit by unit and depth by depth."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError, MissingExtraError
from . import options, profile_check, profile_display, render

if TYPE_CHECKING:
    from ..catalog.device import Device
    from ..profiler.by_depth import DepthFigures
    from ..profiler.placement import Placement
    from ..profiler.profile import Profile

HeadName = Literal["device", "server"]  # as HeadOn in profiler/placement.py: a test compares them

SPLIT = "How it is split"
CHECKS = "How well it holds"
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
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Count the FLOPs a second time, with fvcore, and record it in the profile.",
            rich_help_panel=CHECKS,
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Train a few steps in client processes on this machine, and compare their peak "
            "memory.",
            rich_help_panel=CHECKS,
        ),
    ] = False,
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths",
            metavar="A,B",
            show_default="the shallowest, the middle and the deepest",
            help="Depths to check.",
            rich_help_panel=CHECKS,
        ),
    ] = None,
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

    --json and -o give the profile, as flexp plan --profile reads it, and --csv the depths; with
    --check, --json gives what was measured.
    """
    settings = options.settings_from(
        options.given_settings(task, labels, batch, length, method, rank, targets, dtype, optimizer)
    )
    split = {"--top": top, "--head": head, "--checkpointing": checkpointing or None}
    shaped = [name for name, value in split.items() if value is not None]
    if device is not None:
        shaped.insert(0, "--device")
    _check_outputs(output, csv, plot)
    _check_effects(shaped, verify, check, output, csv, plot, as_json)
    asked = profile_check.asked_depths(depths, check)
    from ..planner.lookup import find_device
    from ..profiler.cache import cached_profile
    from ..profiler.placement import Placement

    placement = Placement(1, top or 0, head or "device", checkpointing)
    on = find_device(device, Path(), "--device: ") if device is not None else None
    with render.late_spinner(f"profiling {model}"):
        found = cached_profile(model, settings, verify)
    reading = _read(found, placement, on, needs_depths=bool(shaped or check or csv or plot))
    placements = profile_check.placements_to_check(found, placement, asked) if check else []
    _write(reading, output, csv, plot)
    if as_json and not check:
        render.print_json(found)
    elif not as_json and csv != STDOUT:
        profile_display.show(reading)
    if check:
        profile_check.run(found, placements, as_json)


def _read(
    found: Profile, placement: Placement, device: Device | None, needs_depths: bool
) -> profile_display.Reading:
    """The profile by depth, with the codec and server side that a fleet has by default. A model of
    one block has no depths: PlanError where they are needed."""
    from ..planner.fleet import Policy
    from ..profiler.by_depth import by_depth

    codec, server_side = Policy().allowed_codecs[0], Policy().server_side
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


def _check_outputs(output: Path | None, csv: Path | None, plot: Path | None) -> None:
    """Raise now for a file that could not be written when the profile is there."""
    render.check_output(output)
    if csv != STDOUT:
        render.check_output(csv, "--csv", (".csv",))
    render.check_output(plot, "--plot", PLOT_SUFFIXES)
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "report")


def _check_effects(
    shaped: list[str],
    verify: bool,
    check: bool,
    output: Path | None,
    csv: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Raise FieldError for an option that the others leave without effect; `shaped` are those that
    shape the figures by depth."""
    printing = [
        name
        for name, given in (("--json", as_json), ("--verify", verify), ("--check", check))
        if given
    ]
    if csv == STDOUT and printing:
        raise FieldError(f"--csv -: {printing[0]} prints to stdout too", "give --csv a file")
    if not as_json:
        return
    if verify and check and output is None:
        raise FieldError(
            "--verify: has no effect with --check --json, which print what --check measured",
            "add -o FILE, which holds the second count, or leave one of them out",
        )
    unused = [name for name in shaped if not check or name == "--device"]
    if unused and csv is None and plot is None:
        printed = "what --check measured" if check else "the profile of the whole model"
        raise FieldError(
            f"{unused[0]}: has no effect with --json, which prints {printed}",
            "add --csv FILE or --plot FILE, which hold the figures of every depth",
        )
