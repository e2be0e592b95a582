"""`flexp probe`: what this machine offers to training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options, render


def probe(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model whose blocks are timed.")
    ] = "minilm-l6",
    batch: options.BatchOption = None,
    length: options.LengthOption = None,
    method: options.MethodOption = None,
    output: Annotated[Path | None, options.output_option("the device, for a fleet file")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure this machine: cores, usable memory and the training speed on real blocks of MODEL."""
    render.check_output(output)
    settings = options.settings_from(
        options.given_settings(batch=batch, length=length, method=method)
    )
    from ..profiler.probe import probe_device

    with render.spinner(f"timing blocks of {model}"):
        report = probe_device(model, settings)
    device = report.device()
    if output is not None:
        render.write_output(device, output)
    if as_json:
        render.print_json(device)
