"""The lines of `flexp probe`'s table: (label, figure, what is to be said of it)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..profiler.link_report import LinkReport
    from ..profiler.probe_report import BlockTiming, ProbeReport
    from ..profiler.spread import Spread

UNKNOWN = "unknown"
Row = tuple[str, str, str]
Show = Callable[[float], str]


def device_rows(report: ProbeReport) -> list[Row]:
    """Every figure of the machine; "unknown" for what could not be measured."""
    from ..catalog.units import format_bytes

    load, runtime = report.load_average, report.runtime_bytes
    return [
        ("cores", f"{report.cores:g}", f"{report.threads} threads in training"),
        (
            "usable memory",
            format_bytes(report.usable_memory_bytes),
            f"{report.memory_limit} (RAM: {format_bytes(report.ram_bytes)})",
        ),
        (
            "runtime",
            format_bytes(runtime) if runtime is not None else UNKNOWN,
            "memory of a training process without its model",
        ),
        *_speed_rows(report),
        (
            "load",
            f"{load:.2g}" if load is not None else UNKNOWN,
            "processes that wanted a core in the minute before"
            + (
                f"; others kept {report.other_cores:.1f} cores busy during the timing"
                if report.other_cores is not None
                else ""
            ),
        ),
        _accelerator_row(report),
        *_disk_rows(report),
        _power_row(report),
    ]


def _speed_rows(report: ProbeReport) -> list[Row]:
    from ..catalog.units import format_flops
    from ..profiler.probe_report import CPU

    if not report.timings:
        return [("speed", UNKNOWN, "")]
    rows = []
    for length, on in dict.fromkeys((t.length, t.on) for t in report.timings):
        speed = report.speed(length, on)
        timings = [t for t in report.timings if (t.length, t.on) == (length, on)]
        rows.append(
            (
                "speed" if on == CPU else f"speed ({on})",
                f"{format_flops(speed)}/s" if speed is not None else UNKNOWN,
                f"length {length}: " + "; ".join(map(_timing, timings)),
            )
        )
    return rows


def _timing(timing: BlockTiming) -> str:
    from ..catalog.units import format_seconds

    return (
        f"block {timing.block} ({timing.alike} alike), batch {timing.batch}: median "
        f"{format_seconds(timing.median_seconds)} of {timing.steps} steps, fastest "
        f"{format_seconds(timing.min_seconds)}"
    )


def _accelerator_row(report: ProbeReport) -> Row:
    from ..catalog.units import format_bytes

    found = report.accelerator
    if found is None:
        return ("accelerator", "none found", "")
    memory = format_bytes(found.memory_bytes) if found.memory_bytes is not None else UNKNOWN
    timed = any(timing.on == found.type for timing in report.timings)
    about = f"{found.name or 'its name is unknown'}, memory: {memory}"
    return ("accelerator", found.type, about if timed else f"{about}; not timed")


def _disk_rows(report: ProbeReport) -> list[Row]:
    from ..catalog.units import format_bytes

    def rate(value: float) -> str:
        return f"{format_bytes(value)}/s"

    disk = report.disk
    free = UNKNOWN if disk.free_bytes is None else format_bytes(disk.free_bytes)
    size = format_bytes(disk.file_bytes)
    return [
        ("disk, free", free, f"where the cache is: {disk.folder}"),
        _spread_row("disk, write", disk.write_bytes_per_second, rate, f"{size}, with fsync"),
        _spread_row(
            "disk, read", disk.read_bytes_per_second, rate, "at most: caches below may answer"
        ),
    ]


def _power_row(report: ProbeReport) -> Row:
    power = report.power
    saving = {None: UNKNOWN, "": "off"}.get(power.saving, power.saving)
    figure, about = UNKNOWN, f"saving: {saving}"
    if power.on_battery is None and power.battery_percent is None:
        about = f"no battery seen; {about}"
    else:
        source = {True: "battery", False: "mains", None: UNKNOWN}[power.on_battery]
        percent = "" if power.battery_percent is None else f", {power.battery_percent:.0f}%"
        figure = f"{source}{percent}"
    return ("power", figure, about)


def link_rows(link: LinkReport) -> list[Row]:
    from ..catalog.units import format_bit_rate, format_seconds

    loss = link.loss_share
    return [
        ("link to", link.server, ""),
        _spread_row("up", link.up_bits_per_second, format_bit_rate),
        _spread_row("down", link.down_bits_per_second, format_bit_rate),
        _spread_row("round trip", link.rtt_seconds, format_seconds),
        _spread_row("jitter", link.jitter_seconds, format_seconds),
        (
            "loss",
            UNKNOWN if loss is None else f"{loss:.2%}",
            ""
            if link.loss is None
            else f"{link.datagrams_lost} of {link.datagrams_sent} UDP datagrams, there and back; "
            f"{link.loss.min:.1%} to {link.loss.max:.1%} in {link.loss.samples} rounds",
        ),
    ]


def _spread_row(label: str, spread: Spread | None, show: Show, about: str = "") -> Row:
    """The median as the figure, the rest beside it."""
    if spread is None:
        return (label, UNKNOWN, "")
    rest = f"{show(spread.min)} to {show(spread.max)} in {spread.samples} samples"
    return (label, show(spread.median), f"{rest}; {about}" if about else rest)
