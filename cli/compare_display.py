"""The table of `flexp compare` on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalog.units import format_seconds
from . import render

if TYPE_CHECKING:
    from ..runtime.comparison.intervals import Estimate
    from ..runtime.comparison.table import Row, Table

LEGEND = """\
Accuracy in %, mean over seeds ± half of the 95% interval. personal: on a
client's own test rows, mean over the clients, and of the worst one; global: a
client's model on everyone's test rows. Of a client in the run: MB up and down,
TFLOP on the device. MiB: the most that a device needs, as planned; ! where some
device has less."""


def show(table: Table) -> None:
    to = render.console()
    columns = ("algorithm", ">personal", ">worst", ">global", ">MB", ">TFLOP", ">MiB")
    found = render.table(*columns, title="")
    for row in table.rows:
        found.add_row(
            row.label,
            interval(row.personal, 100),
            interval(row.worst, 100),
            interval(row.overall, 100),
            f"{row.client_bytes.mean / 1e6:.1f}",
            f"{row.device_flops.mean / 1e12:.2f}",
            f"{row.peak_memory_bytes.mean / 2**20:.0f}{'!' * (row.misfits > 0)}",
        )
    to.print(found)
    to.print(LEGEND, style="dim", soft_wrap=True)
    against = render.table(
        "algorithm",
        ">personal",
        ">global",
        ">to target",
        ">times",
        ">end",
        title=f"\n{table.reference} less each, in points; time on the fleet's clock",
        caption=f"target: {_target(table)};\ntimes: as long as "
        f"{table.reference}; end: until the last client was done",
    )
    for row in table.rows:
        against.add_row(
            row.label,
            signed(row.personal_difference),
            signed(row.overall_difference),
            _to_target(row),
            interval(row.time_ratio, 1),
            format_seconds(row.seconds.mean),
        )
    to.print(against)


def _target(table: Table) -> str:
    if table.target is not None:
        return f"{100 * table.target:.0f}% personal accuracy"
    return "the lowest personal accuracy that an algorithm ended with in the seed"


def _to_target(row: Row) -> str:
    if row.target_seconds is None:
        return "never"
    seeds = row.personal.seeds
    missed = f", {row.reached}/{seeds}" if row.reached < seeds else ""
    mean = row.target_seconds.mean
    return (format_seconds(mean) if mean else "at once") + missed


def interval(estimate: Estimate | None, scale: float) -> str:
    """ "73.4 ± 1.2", or "73.4" for a single seed."""
    if estimate is None:
        return ""
    text = f"{scale * estimate.mean:.1f}"
    return text if estimate.half_width is None else f"{text} ± {scale * estimate.half_width:.1f}"


def signed(estimate: Estimate | None) -> str:
    """Points, with half of the 95% interval: "+4.1 ± 1.5"."""
    if estimate is None:
        return ""
    return f"{100 * estimate.mean:+.1f}" + (
        "" if estimate.half_width is None else f" ± {100 * estimate.half_width:.1f}"
    )
