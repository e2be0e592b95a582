"""`flexp predict`: try a client's model on new texts."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError
from . import options, render

if TYPE_CHECKING:
    from ..runtime.data import Row
    from ..runtime.predict import Predictions

ModeName = Literal["personal", "global"]
TEXT_WIDTH = 40
"""Characters of a text in the table."""


def predict(
    run: options.RunArgument,
    client: options.ClientArgument,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A text; give it again for more.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="CSV, TSV, JSONL or Parquet with the column text; with labels, accuracy too.",
        ),
    ] = None,
    columns: options.ColumnsOption = None,
    model: options.BaseModelOption = None,
    mode: Annotated[
        ModeName | None,
        typer.Option(
            "--mode",
            show_default="personal",
            help="Of a run with --label-prior: for the client's own rows, or for everyone's.",
        ),
    ] = None,
    as_json: options.JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, and only CSV.")] = False,
) -> None:
    """Classify texts with the model that a client took away from a run."""
    if as_json and as_csv:
        raise FieldError("--json and --csv: both are given", "choose one")
    rows = _rows(text or [], data, columns)
    with render.spinner(f"loading the model of {client}"):
        from ..catalog.progress import no_progress
        from ..runtime import predict as runtime
        from ..runtime.merge import load_merged

        made = runtime.predict(load_merged(run, client, model, no_progress), rows, mode)
    if as_json:
        render.print_json(made)
    elif as_csv:
        _print_csv(made)
    else:
        _show(made)


def _rows(texts: list[str], data: Path | None, columns: str | None) -> list[Row]:
    from ..runtime.data import Row, parse_columns, read_file

    if bool(texts) == (data is not None):
        given = "both are" if texts else "neither is"
        raise FieldError(f"--text and --data: {given} given", "give one of the two")
    if data is not None:
        mapping = {} if columns is None else parse_columns(columns)
        return list(read_file(data, mapping, labelled=False).rows)
    if columns is not None:
        raise FieldError("--columns: has no effect with --text", "leave it out")
    if not all(one.strip() for one in texts):
        raise FieldError("--text: is empty", "give some words")
    return [Row(text=one, label="") for one in texts]


def _print_csv(made: Predictions) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("text", "label", "probability", "truth"))
    for one in made.predictions:
        table.writerow((one.text, one.label, f"{one.probability:.4f}", one.truth or ""))


def _show(made: Predictions) -> None:
    from rich.markup import escape

    judged = made.accuracy is not None
    table = render.table(
        "text",
        "label",
        ">probability",
        *(["truth"] if judged else []),
        title=f"{made.client}: {made.model}, {len(made.classes)} classes",
    )
    for one in made.predictions:
        wrong = one.truth not in (None, one.label)
        table.add_row(
            escape(_short(one.text)),
            escape(one.label),
            f"{one.probability:.2f}",
            *([escape(one.truth or "")] if judged else []),
            style="red" if wrong else None,
        )
    to = render.console()
    to.print(table)
    if made.accuracy is not None:
        to.print(f"accuracy {made.accuracy:.1%} of the rows with a label")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_WIDTH else line[: TEXT_WIDTH - 3] + "..."
