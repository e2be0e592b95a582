"""Measure this machine: cores, memory, and its training speed on a model's own blocks.

Everything is for the CPU, where flexp trains; an accelerator is named but not timed.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import date

import psutil

from ..catalog.units import format_bytes
from .limits import usable_cores, usable_memory
from .probe_report import BlockTiming, ProbeReport
from .profile import ProfileSettings

TIMING_SECONDS = 3.0
RUNTIME_TIMEOUT_SECONDS = 120.0
BUSY_SHARE = 0.5
"""A load above this share of the cores is worth a note."""


def probe_device(
    model: str, settings: ProfileSettings, seconds: float = TIMING_SECONDS
) -> ProbeReport:
    """Measure this machine on the blocks of `model`, timing them for about `seconds` in all.

    Raises what `load_config` raises, UnsupportedModelError, and FieldError for a length that the
    model cannot take.
    """
    memory = usable_memory()
    cores = usable_cores()
    threads = max(1, int(cores))
    load = _load_average()
    with _start_runtime_probe(settings, threads) as runtime:
        try:  # the imports and checks here go on beside it
            from ..catalog.models.entry import load_config
            from .block_speed import sample_blocks, time_blocks, weight_bytes

            sample = sample_blocks(load_config(model))
            needed_bytes = weight_bytes(sample, settings)
            runtime_bytes, notes = _read_runtime_probe(runtime)
        finally:
            runtime.kill()
    timings: tuple[BlockTiming, ...] = ()
    if needed_bytes + (runtime_bytes or 0) < memory.usable_bytes:
        timings = time_blocks(sample, settings, threads, seconds)
    else:
        notes += (
            f"its memory ({format_bytes(memory.usable_bytes)}, {memory.reason}) is too small for "
            f"a block of {model} with gradients ({format_bytes(needed_bytes)})",
        )
    if load is not None and load > BUSY_SHARE * cores:
        notes += (
            f"the machine was busy (load {load:.1f} on {cores:g} cores) and is faster than this "
            "when it is quiet: probe again then",
        )
    return ProbeReport(
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
        accelerator=_accelerator(),
        timings=timings,
        runtime_bytes=runtime_bytes,
        notes=notes,
    )


def _load_average() -> float | None:
    try:
        return psutil.getloadavg()[0]
    except OSError:
        return None


def _accelerator() -> str | None:
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return None if found is None else found.type


def _start_runtime_probe(settings: ProfileSettings, threads: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "flexp.profiler.probe_runtime"]
    return subprocess.Popen(
        [*command, settings.method, str(threads)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )


def _read_runtime_probe(process: subprocess.Popen[str]) -> tuple[int | None, tuple[str, ...]]:
    """(runtime_bytes, notes) once the process has ended."""
    try:
        printed, complaints = process.communicate(timeout=RUNTIME_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return None, (f"a tiny training run took over {RUNTIME_TIMEOUT_SECONDS:.0f} s",)
    if process.returncode != 0:
        last = complaints.strip().rpartition("\n")[2] or f"exit status {process.returncode}"
        return None, (f"a tiny training run failed: {last}",)
    return int(printed), ()
