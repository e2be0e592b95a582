"""`flexp probe`: what this machine offers to training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FlexpError
from . import options, render

if TYPE_CHECKING:
    from ..profiler.probe_report import ProbeReport


def probe(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="The model whose blocks are timed.")
    ] = "minilm-l6",
    batch: options.BatchOption = None,
    length: options.LengthOption = None,
    method: options.MethodOption = None,
    output: Annotated[Path | None, options.output_option("the device, for a fleet file")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure this machine: cores, usable memory and the training speed on real blocks of MODEL.

    What could not be measured is shown as unknown; only -o needs every figure.
    """
    render.check_output(output)
    settings = options.settings_from(
        options.given_settings(batch=batch, length=length, method=method)
    )
    from ..profiler.probe import probe_device

    with render.spinner(f"timing blocks of {model}"):
        report = probe_device(model, settings)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(report), indent=2) + "\n")
    else:
        _show(report)
    if output is not None:
        render.write_output(report.device(), output)


def _as_json(report: ProbeReport) -> dict[str, object]:
    """The report, and the device as a fleet file takes it: null where a figure is missing."""
    try:
        device = report.device().model_dump(mode="json")
    except FlexpError:
        device = None
    return {"device": device, "report": report.model_dump(mode="json")}


def _show(report: ProbeReport) -> None:
    from rich.markup import escape

    settings = report.settings
    to = render.console()
    to.print(f"{report.machine}, {report.date}", style="bold", markup=False)
    grid = render.grid()
    for label, figure, about in rows(report):
        grid.add_row(label, figure, f"[dim]{escape(about)}[/]")
    to.print(grid)
    to.print(
        f"Speed: forward and backward over blocks of {report.model}, {settings.method}, "
        f"length {settings.length}; 2 FLOPs per multiply-add.",
        style="dim",
        markup=False,
    )
    for text in report.notes:
        to.print(f"note: {text}", style="yellow", markup=False)


def rows(report: ProbeReport) -> list[tuple[str, str, str]]:
    """(label, figure, what is to be said of it); "unknown" for what could not be measured."""
    from ..catalog.units import format_bytes, format_flops

    speed, load, runtime = (
        report.training_flops_per_second,
        report.load_average,
        report.runtime_bytes,
    )
    return [
        ("cores", f"{report.cores:g}", f"{report.threads} threads in training"),
        (
            "usable memory",
            format_bytes(report.usable_memory_bytes),
            f"{report.memory_limit} (physical: {format_bytes(report.ram_bytes)})",
        ),
        (
            "runtime",
            format_bytes(runtime) if runtime is not None else "unknown",
            "memory of a training process without its model",
        ),
        (
            "speed",
            f"{format_flops(speed)}/s" if speed is not None else "unknown",
            "; ".join(_timings(report)),
        ),
        (
            "load",
            f"{load:.2g}" if load is not None else "unknown",
            "processes that wanted a core in the minute before",
        ),
        (
            "accelerator",
            report.accelerator or "none found",
            "found, not timed: flexp trains on the CPU" if report.accelerator else "",
        ),
    ]


def _timings(report: ProbeReport) -> list[str]:
    from ..catalog.units import format_seconds

    return [
        f"block {timing.block} ({timing.alike} alike), batch {timing.batch}: median "
        f"{format_seconds(timing.median_seconds)} of {timing.steps} steps, fastest "
        f"{format_seconds(timing.min_seconds)}"
        for timing in report.timings
    ]
