"""The table of each client's rows that `flexp train` shows before it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..runtime.statistics import DataStatistics

SHOWN = 40
"""Clients with a line of their own."""
NAMED = 2
"""Classes that are named."""
LEGEND = """\
Tokens: shortest, median and longest training row. Cut: rows that fill the
planned length; longer ones are cut there."""


def show_data(to: Console, statistics: dict[str, DataStatistics]) -> None:
    to.print(data_table(statistics))
    to.print(LEGEND, style="dim", soft_wrap=True)


def data_table(statistics: dict[str, DataStatistics]) -> Table:
    table = render.table(
        "client",
        ">train",
        ">test",
        ">classes",
        "most frequent",
        ">tokens",
        ">cut",
        title="Rows of each client",
    )
    for name, rows in list(statistics.items())[:SHOWN]:
        tokens = rows.tokens
        table.add_row(
            name,
            str(rows.train_rows),
            str(rows.test_rows),
            str(len(rows.classes)),
            most_frequent(rows),
            f"{tokens.shortest}, {tokens.median:g}, {tokens.longest}" if tokens else "-",
            f"{tokens.at_limit / rows.train_rows:.0%}" if tokens else "-",
        )
    if len(statistics) > SHOWN:
        table.add_row(f"and {len(statistics) - SHOWN} more")
    return table


def most_frequent(rows: DataStatistics) -> str:
    """As in "space 40%, autos 12%"."""
    from rich.markup import escape

    first, total = list(rows.classes.items())[:NAMED], sum(rows.classes.values())
    return escape(", ".join(f"{label} {count / total:.0%}" for label, count in first))
