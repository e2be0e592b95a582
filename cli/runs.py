"""`flexp runs`: past runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import EmptyDataError, MissingExtraError
from . import options, render

if TYPE_CHECKING:
    from ..runtime.runs import RunList, RunOverview

LEGEND = """\
n: clients. Loss: mean over the clients at the end. Accuracy in %: personal on the
clients' own test rows, before > after, and the worst of them; global on everyone's."""


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...", help="Runs, or folders with runs in them.", show_default="."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png|svg", help="Draw loss and accuracy over steps."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """List past runs, and compare them."""
    render.check_output(plot, "--plot", (".png", ".svg"))
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "report")
    from ..runtime.runs import compare, find_runs

    named = folders or [Path()]
    found = list(dict.fromkeys(run for folder in named for run in find_runs(folder)))
    if not found:
        raise EmptyDataError(
            f"{', '.join(map(str, named))}: no run is here",
            "flexp train PLAN.yaml --data NAME|FILE -o FOLDER makes one",
        )
    made = compare(found)
    if plot is not None:
        from .runs_plot import draw

        render.write_bytes(draw(found, plot.suffix), plot)
    if as_json:
        render.print_json(made)
    else:
        _show(made)


def _show(made: RunList) -> None:
    from rich.markup import escape

    columns = "run >n depths >steps >loss >personal >worst >global >MB state"
    table = render.table(*columns.split(), title="")
    for run in made.runs:
        table.add_row(
            escape(run.folder),
            str(run.clients or ""),
            depths(run),
            f"{run.steps_done}/{run.steps}" if run.settings else "",
            "" if run.loss is None else f"{run.loss:.2f}",
            f"{_percent(run.personal_before)} > {_percent(run.personal)}"
            if run.personal is not None
            else "",
            _percent(run.personal_worst),
            _percent(run.overall),
            f"{(run.up_bytes + run.down_bytes) / 1e6:.1f}",
            run.state,
        )
    to = render.console()
    to.print(table)
    to.print(LEGEND, style="dim", soft_wrap=True)
    for line in (*_problems(made), *_differences(made)):
        to.print(line, soft_wrap=True, markup=False)


def depths(run: RunOverview) -> str:
    """ "1-4", or "2" where all are the same."""
    if not run.depths:
        return ""
    low, high = min(run.depths), max(run.depths)
    return str(low) if low == high else f"{low}-{high}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"


def _problems(made: RunList) -> Iterator[str]:
    for run in made.runs:
        if run.problem:
            yield f"{run.folder}: {run.problem}"


def _differences(made: RunList) -> Iterator[str]:
    """As in "learning_rate: 0.003 in run-1, run-3; 0.01 in run-2"."""
    for setting, values in made.differences.items():
        by_value: dict[str, list[str]] = {}
        for folder, value in values.items():
            by_value.setdefault(_short(value), []).append(folder)
        told = "; ".join(f"{value} in {', '.join(where)}" for value, where in by_value.items())
        yield f"{setting}: {told}"


def _short(value: Any) -> str:
    return "none" if value is None else str(value)
