"""Measure this machine: its limits, its training speed on a model's own blocks, disk and power."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import psutil

from ..catalog.units import format_bytes
from . import probe_runtime
from .disk_speed import measure_disk
from .limits import usable_cores, usable_memory
from .other_work import OtherWork
from .power import power_state
from .probe_report import Accelerator, BlockTiming, ProbeReport
from .profile import ProfileSettings

if TYPE_CHECKING:
    from .block_speed import Sample

TIMING_SECONDS = 3.0
Notes = tuple[str, ...]


def probe_device(
    model: str,
    settings: ProfileSettings,
    more_lengths: Iterable[int] = (),
    seconds: float = TIMING_SECONDS,
) -> ProbeReport:
    """Measure this machine on the blocks of `model`, timing them for about `seconds` at each
    length: that of `settings`, whose speed becomes the device's, and `more_lengths`. An accelerator
    is timed as well.

    Raises what `load_config` raises, UnsupportedModelError, and FieldError for a length that the
    model cannot take.
    """
    memory = usable_memory()
    cores = usable_cores()
    threads = max(1, int(cores))
    load = _load_average()
    power = power_state()
    each = [settings.model_copy(update={"length": n}) for n in (settings.length, *more_lengths)]
    with probe_runtime.start(settings, threads) as runtime:
        try:  # the imports and checks here go on beside it
            from ..catalog.models.entry import load_config
            from .accelerator import find_accelerator
            from .block_speed import sample_blocks, weight_bytes

            sample = sample_blocks(load_config(model))
            needed_bytes = max(weight_bytes(sample, one) for one in each)
            accelerator = find_accelerator()
            runtime_bytes, again, notes = probe_runtime.read(runtime)
        finally:
            runtime.kill()
    if again:  # it compiled bytecode, which takes memory that a later process does not
        with probe_runtime.start(settings, threads) as runtime:
            runtime_bytes, _, notes = probe_runtime.read(runtime)
    timings: tuple[BlockTiming, ...] = ()
    others = OtherWork()
    if needed_bytes + (runtime_bytes or 0) < memory.usable_bytes:
        timings = _time_on_cpu(sample, each, threads, seconds)
    else:
        notes += (
            f"its memory ({format_bytes(memory.usable_bytes)}, {memory.reason}) is too small for "
            f"a block of {model} with gradients ({format_bytes(needed_bytes)})",
        )
    other_cores = others.cores() if timings else None
    if timings and accelerator is not None:
        found, problems = _time_on(accelerator, sample, each, threads, seconds, needed_bytes)
        timings, notes = timings + found, notes + problems
    report = ProbeReport(
        machine=platform.node() or "this-machine",
        date=date.today().isoformat(),
        model=model,
        settings=settings,
        cores=cores,
        threads=threads,
        ram_bytes=memory.ram_bytes,
        usable_memory_bytes=memory.usable_bytes,
        memory_limit=memory.reason,
        load_average=load,
        machine_cores=psutil.cpu_count() or 1,
        other_cores=other_cores,
        power=power,
        accelerator=accelerator,
        timings=timings,
        runtime_bytes=runtime_bytes,
        disk=measure_disk(),
    )
    return report.model_copy(update={"notes": notes + _doubts(report)})


def _doubts(report: ProbeReport) -> Notes:
    """What makes a figure of the report other than it would be at another time."""
    doubts: Notes = ()
    if report.busy:
        doubts += (
            f"the machine was busy ({report.busy}) and is faster than this when it is quiet: "
            "run this probe again then",
        )
    if report.power.note:
        doubts += (report.power.note,)
    return doubts


def _time_on_cpu(
    sample: Sample, each: list[ProfileSettings], threads: int, seconds: float
) -> tuple[BlockTiming, ...]:
    from .block_speed import time_blocks

    return tuple(timing for one in each for timing in time_blocks(sample, one, threads, seconds))


def _time_on(
    accelerator: Accelerator,
    sample: Sample,
    each: list[ProfileSettings],
    threads: int,
    seconds: float,
    needed_bytes: int,
) -> tuple[tuple[BlockTiming, ...], Notes]:
    """(timings, notes): an accelerator that fails leaves the rest of the probe as it is."""
    from .block_speed import time_blocks

    free = accelerator.free_memory_bytes
    if free is not None and free < needed_bytes:
        return (), (
            f"{accelerator.type} was not timed: {format_bytes(free)} of its memory are free, a "
            f"block takes {format_bytes(needed_bytes)}",
        )
    timings: tuple[BlockTiming, ...] = ()
    for one in each:
        try:
            timings += time_blocks(sample, one, threads, seconds, on=accelerator.type)
        except RuntimeError as error:  # its memory is full, or it lacks an operation
            first = str(error).strip().partition("\n")[0]
            return timings, (f"{accelerator.type} failed at length {one.length}: {first}",)
    return timings, ()


def _load_average() -> float | None:
    try:
        return psutil.getloadavg()[0]
    except OSError:
        return None
