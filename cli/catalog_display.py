"""What `flexp catalog` prints: a table of device types, and all that is known of one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from ..catalog.device_type import DeviceType

DEVICES_CAPTION = (
    "memory: of the machine, or the GPU's own; GFLOP/s: sustained in training, and how far off it "
    "may be (×19: within a factor of 19); W: under load; price: new, in its time"
)


def show_devices(found: list[DeviceType]) -> None:
    """A table of 80 columns, a row for each type."""
    from ..catalog.units import format_bytes

    table = render.table(
        *("device type", "kind", ">year", ">memory", ">GFLOP/s", ">±", ">W", ">price"),
        title=f"{len(found)} device types",
        caption=DEVICES_CAPTION,
    )
    for entry in found:
        off = entry.uncertainty
        table.add_row(
            entry.name,
            entry.kind,
            str(entry.year),
            format_bytes(entry.ram_bytes),
            gigaflops(entry.training_flops_per_second),
            f"{off:.0%}" if off < 1 else f"×{1 + off:g}",
            f"{entry.power_watts:g}",
            f"{entry.price.amount} {entry.price.currency}",
        )
    to = render.console()
    to.print(table)
    to.print("\nnext: flexp catalog devices NAME", style="bold")


def gigaflops(flops_per_second: float) -> str:
    """4.608e10 -> "46.1"; 2.68e13 -> "26,800"."""
    figure = float(f"{flops_per_second / 1e9:.3g}")
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:g}"


def show_device(entry: DeviceType) -> None:
    """All that is known of a type: figures, how they come about, sources."""
    from ..catalog.device_type import format_uncertainty
    from ..catalog.units import format_byte_rate, format_bytes, format_flops

    price = entry.price
    rows = [
        ("kind", f"{entry.kind}, {entry.year}"),
        (
            "memory",
            f"{format_bytes(entry.ram_bytes)}, {format_bytes(entry.usable_memory_bytes)} usable, "
            f"{format_byte_rate(entry.memory_bytes_per_second)}",
        ),
        (
            "speed",
            f"{format_flops(entry.training_flops_per_second)}/s in training, "
            f"{format_uncertainty(entry.uncertainty)}",
        ),
        ("derivation", entry.derivation),
        (f"rule {entry.rule}", entry.speed_rule.evidence),
        ("links", ", ".join(entry.links)),
        ("power", f"{entry.power_watts:g} W under load"),
        ("price", f"{price.amount} {price.currency} in {price.year} ({price.basis} price)"),
    ]
    if entry.note:
        rows.append(("note", entry.note))
    show_record(f"{entry.name}: {entry.title}", [*rows, ("sources", "\n".join(entry.sources))])


def show_record(title: str, rows: list[tuple[str, str]]) -> None:
    """A title, and a line or more for each label."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, Text(value))
    to = render.console()
    to.print(title, style="bold", markup=False)
    to.print(grid)
