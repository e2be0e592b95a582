"""`flexp export`: a client's model for use without flexp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options, render


def export(
    run: options.RunArgument,
    client: options.ClientArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    model: options.BaseModelOption = None,
) -> None:
    """Write a client's model as a checkpoint that transformers loads on its own.

    Base weights, adapter and head become one: config.json, model.safetensors, tokenizer.
    """
    from ..runtime.export_merged import check_empty, export_merged

    check_empty(output)
    with render.spinner("merging base weights and adapter"):
        from ..catalog.progress import no_progress
        from ..runtime.merge import load_merged

        merged = load_merged(run, client, model, no_progress)
        how = export_merged(merged, output)
    render.note(f"wrote {output}")
    typer.echo(how)
