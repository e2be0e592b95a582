"""What `flexp profile` prints: where memory and FLOPs go, and what each depth needs."""

from __future__ import annotations

import csv
import io
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..catalog.device import Device
    from ..profiler.by_depth import DepthFigures
    from ..profiler.costs import Codec
    from ..profiler.placement import Placement
    from ..profiler.profile import FlopsCheck, Profile, UnitProfile

MOST_ROWS = 12
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
SHARE_WIDTH = 6
UNIT_CAPTION = (
    "{step}; F: FLOPs, forward and backward, 2 FLOPs per multiply-add. state: weights, gradients "
    "and optimizer state; saved: activations that the backward pass needs. Bars: shares of the "
    "whole model, those of equal blocks added up."
)
DEPTH_CAPTION = (
    "{step}. depth: blocks at the bottom that the device runs{kept}; the server trains the "
    "rest. needs: peak memory of the device, {process}; a full bar is {full}. training: gradients "
    "and optimizer{update}. A step moves {up} up and {down} down as {codec}."
)

UPDATE_CAPTION = "; with activations of 0 B, the peak is the optimizer's update"


class Reading(NamedTuple):
    """A profile and its figures by depth, with what shaped them."""

    profile: Profile
    placement: Placement
    """As asked for; its depth means nothing."""
    codec: Codec
    device: Device | None
    depths: tuple[DepthFigures, ...]
    """Every depth, shallowest first; empty for a model of one block."""

    @property
    def deepest_fit(self) -> DepthFigures | None:
        """The deepest that fits the device; None without a device or a depth that does."""
        fits = [row for row in self.depths if self.fits(row)]
        return fits[-1] if fits else None

    def fits(self, row: DepthFigures) -> bool:
        device = self.device
        return device is not None and row.device_memory_bytes <= device.usable_memory_bytes


def show(reading: Reading) -> None:
    """Both tables, with a device the deepest split that fits it, and the second count of FLOPs."""
    to = render.console()
    to.print(unit_table(reading.profile))
    if reading.depths:
        to.print()
        to.print(depth_table(reading))
    if reading.depths and reading.device is not None:
        to.print(f"\n{fit_line(reading)}", style="bold", markup=False, soft_wrap=True)
    verification = reading.profile.verification
    if verification is not None:
        to.print(f"\n{verification_line(verification)}", markup=False)
        if verification.warning is not None:
            to.print(f"warning: {verification.warning}", style="yellow", markup=False)


def unit_table(found: Profile) -> Table:
    """A row per unit; neighbouring blocks with equal figures share one."""
    from ..catalog.units import format_bytes
    from ..profiler.by_depth import state_bytes

    optimizer = found.settings.optimizer
    table = render.table(
        *("unit", ">params", ">state", ">saved", "memory", ">FLOPs", ""),
        title=heading(found),
        caption=UNIT_CAPTION.format(step=step_text(found)),
    )
    all_bytes = sum(state_bytes(unit, optimizer) + unit.saved_bytes for unit in found.units)
    all_flops = sum(unit_flops(unit) for unit in found.units)
    for name, units in grouped(found):
        unit = units[0]
        kept_bytes = state_bytes(unit, optimizer)
        table.add_row(
            name,
            count(unit.parameters),
            format_bytes(kept_bytes),
            format_bytes(unit.saved_bytes),
            share_cell(len(units) * (kept_bytes + unit.saved_bytes) / all_bytes),
            flops(unit_flops(unit)),
            share_cell(len(units) * unit_flops(unit) / all_flops),
        )
    table.add_section()
    table.add_row(
        "total",
        count(sum(unit.parameters for unit in found.units)),
        format_bytes(sum(state_bytes(unit, optimizer) for unit in found.units)),
        format_bytes(sum(unit.saved_bytes for unit in found.units)),
        "",
        flops(all_flops),
        style="bold",
    )
    return table


def depth_table(reading: Reading) -> Table:
    """A row for each depth of `shown`; the figures of all of them are in the CSV."""
    from ..catalog.units import format_bytes

    device = reading.device
    full_bytes = full_bar_bytes(reading)
    table = render.table(
        *(">depth", "   needs", ">weights", ">training", ">activations"),
        *(">FLOPs:\ndevice", ">\nserver", *(["fits"] if device else [])),
        title=f"What each depth needs{f' on {device.name}' if device else ''}",
        caption=depth_caption(reading),
    )
    for row in shown(reading):
        table.add_row(
            str(row.depth),
            f"{format_bytes(row.device_memory_bytes):>8} "
            + render.share_bar(row.device_memory_bytes / full_bytes, SHARE_WIDTH),
            format_bytes(row.weight_bytes),
            format_bytes(row.gradient_bytes + row.optimizer_bytes),
            format_bytes(row.activation_bytes),
            flops(row.device_flops),
            flops(row.server_flops),
            *(["yes" if reading.fits(row) else "no"] if device else []),
        )
    return table


def shown(reading: Reading) -> list[DepthFigures]:
    """All depths where they are few, else 1, 2, 4, 8, ..., the last, and where fitting ends."""
    depths = reading.depths
    if len(depths) <= MOST_ROWS:
        return list(depths)
    chosen = {2**power for power in range(len(depths).bit_length())} | {len(depths)}
    if reading.deepest_fit is not None:
        chosen |= {reading.deepest_fit.depth, reading.deepest_fit.depth + 1}
    return [row for row in depths if row.depth in chosen]


def full_bar_bytes(reading: Reading) -> int:
    """The larger one of the device's usable memory and the most that a depth needs."""
    most = max(row.device_memory_bytes for row in reading.depths)
    return max(most, reading.device.usable_memory_bytes) if reading.device else most


def depth_caption(reading: Reading) -> str:
    from ..catalog.units import format_bytes

    device, placement, last = reading.device, reading.placement, reading.depths[-1]
    kept = []
    if placement.top:
        kept.append(f"the {placement.top} at the top" if placement.top > 1 else "the last one")
    if placement.head == "device":
        kept.append("the head")
    if device is None:
        process = "without the process itself (--device NAME adds it)"
    else:
        process = f"its process of {format_bytes(device.runtime_bytes)} included"
    return DEPTH_CAPTION.format(
        step=step_text(reading.profile, placement.checkpointing),
        kept=f", beside {' and '.join(kept)}" if kept else "",
        process=process,
        full=format_bytes(full_bar_bytes(reading)),
        update="" if all(row.activation_bytes for row in reading.depths) else UPDATE_CAPTION,
        up=format_bytes(last.up_bytes),
        down=format_bytes(last.down_bytes),
        codec=reading.codec,
    )


def fit_line(reading: Reading) -> str:
    """ "deepest that fits laptop-2019: depth 5, with 812 MiB of 4 GiB"."""
    from ..catalog.units import format_bytes

    device, deepest = reading.device, reading.deepest_fit
    assert device is not None
    limit = format_bytes(device.usable_memory_bytes)
    if deepest is None:
        least = format_bytes(min(row.device_memory_bytes for row in reading.depths))
        return f"no depth fits {device.name}: the least is {least}, of {limit} usable"
    need = format_bytes(deepest.device_memory_bytes)
    return f"deepest that fits {device.name}: depth {deepest.depth}, with {need} of {limit}"


def verification_line(check: FlopsCheck) -> str:
    """ "fvcore 0.1.5 counts 22.6 GFLOP forward: ratio 1.0000; the worst part is ..., 1.0000"."""
    from ..catalog.units import format_flops

    return (
        f"{check.counter} {check.version} counts {format_flops(check.forward_flops)} forward: "
        f"profile / {check.counter} is {check.ratio:.4f}, at worst {check.worst_ratio:.4f} "
        f"({check.worst_part})"
    )


def csv_text(depths: tuple[DepthFigures, ...]) -> str:
    """A header and a line for each depth; bytes and FLOPs as whole numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(depths[0]._fields)
    writer.writerows(depths)
    return text.getvalue()


def grouped(found: Profile) -> list[tuple[str, list[UnitProfile]]]:
    """Units in order, equal neighbours as one: ("block.1-5 (each)", its five units)."""
    rows = []
    for _, same in groupby(found.units, key=lambda unit: unit.model_copy(update={"name": ""})):
        units = list(same)
        name = units[0].name
        if len(units) > 1:
            name = f"{name}-{units[-1].name.rpartition('.')[2]} (each)"
        rows.append((name, units))
    return rows


def heading(found: Profile) -> str:
    """ "gpt2: 12 blocks, causal-lm, LoRA rank 8, float32"."""
    settings = found.settings
    how = {
        "lora": f"LoRA rank {settings.lora_rank}",
        "full": "all weights",
        "head": "the head alone",
    }[settings.method]
    return f"{found.model}: {found.blocks} blocks, {settings.task}, {how}, {settings.dtype}"


def step_text(found: Profile, checkpointing: bool = False) -> str:
    """ "One step of 16 samples of 64 tokens with AdamW"."""
    settings = found.settings
    name = "sample" if found.inputs == "tokens" else "image"
    samples = f"{settings.batch} {name}{'s' if settings.batch > 1 else ''}"
    if found.inputs == "tokens":
        samples += f" of {settings.length} tokens"
    text = f"One step of {samples} with {OPTIMIZERS[settings.optimizer]}"
    return f"{text}, the device's blocks checkpointed" if checkpointing else text


def share_cell(share: float) -> str:
    """A bar and a percentage: "█       16%"."""
    return f"{render.share_bar(share, SHARE_WIDTH)} {share:>4.0%}"


def unit_flops(unit: UnitProfile) -> int:
    return unit.forward_flops + unit.backward_flops


def count(number: int) -> str:
    """22713216 -> "22.7 M"."""
    from ..catalog.units import format_flops

    return format_flops(number).removesuffix("FLOP").strip()


def flops(number: int) -> str:
    """As format_flops, without its "LOP": the caption gives the unit."""
    from ..catalog.units import format_flops

    return format_flops(number).removesuffix("LOP")
