"""`flexp profile`: what one training step of a model costs, unit by unit."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options, render

if TYPE_CHECKING:
    from rich.table import Table

    from ..profiler.profile import Profile, UnitProfile

CAPTION = (
    "One step of {batch} samples of {length} tokens; F: FLOPs, 2 FLOPs per multiply-add. "
    "saved: what the forward pass keeps for the backward pass; peak: the larger of the two passes' "
    "transients; output: what crosses the wire, as {dtype}, if the model is split after the unit."
)


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
    output: Annotated[Path | None, options.output_option("the profile")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compute what one training step of MODEL costs: FLOPs, memory and bytes of each unit."""
    render.check_output(output)
    settings = options.settings_from(
        options.given_settings(task, labels, batch, length, method, rank, targets, dtype)
    )
    from ..profiler.cache import cached_profile

    with render.spinner(f"profiling {model}"):
        found = cached_profile(model, settings)
    if output is not None:
        render.write_output(found, output)
    if as_json:
        render.print_json(found)
    else:
        render.console().print(profile_table(found))


def profile_table(found: Profile) -> Table:
    """A row per unit; neighbouring blocks with equal figures share one."""
    from ..catalog.units import format_bytes

    settings = found.settings
    how = f"LoRA rank {settings.lora_rank}" if settings.method == "lora" else "all weights"
    table = render.table(
        "unit",
        ">params",
        ">forward",
        ">backward",
        ">saved",
        ">peak",
        ">output",
        title=f"{found.model}: {found.blocks} blocks, {settings.task}, {how}, {settings.dtype}",
        caption=CAPTION.format(batch=settings.batch, length=settings.length, dtype=settings.dtype),
    )
    for name, unit in grouped(found):
        table.add_row(
            name,
            count(unit.parameters),
            flops(unit.forward_flops),
            flops(unit.backward_flops),
            format_bytes(unit.saved_bytes),
            format_bytes(max(unit.forward_transient_bytes, unit.backward_transient_bytes)),
            format_bytes(unit.boundary_bytes) if unit.boundary_bytes else "",
        )
    table.add_section()
    table.add_row(
        "total",
        count(sum(unit.parameters for unit in found.units)),
        flops(sum(unit.forward_flops for unit in found.units)),
        flops(sum(unit.backward_flops for unit in found.units)),
        format_bytes(sum(unit.saved_bytes for unit in found.units)),
        style="bold",
    )
    return table


def grouped(found: Profile) -> list[tuple[str, UnitProfile]]:
    """Units in order, equal neighbours as one: ("block.1-5", the figures of each)."""
    rows = []
    for _, same in groupby(found.units, key=lambda unit: unit.model_copy(update={"name": ""})):
        units = list(same)
        name = units[0].name
        if len(units) > 1:
            name = f"{name}-{units[-1].name.rpartition('.')[2]} (each)"
        rows.append((name, units[0]))
    return rows


def count(number: int) -> str:
    """22713216 -> "22.7 M"."""
    for factor, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}"
    return str(number)


def flops(number: int) -> str:
    """As format_flops, without its "LOP": the caption gives the unit."""
    from ..catalog.units import format_flops

    return format_flops(number).removesuffix("LOP")
