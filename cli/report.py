"""`flexp report`: results as one HTML file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import MissingExtraError
from . import render

Language = Literal["en", "ja"]


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT...",
            help="What plan, whatif, roi, limits, spend and pilot wrote with -o, what "
            "compare --json printed, or the folder of a run; several make one report.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="The file to write.")
    ] = Path("report.html"),
    language: Annotated[Language, typer.Option("--lang", help="Of the report.")] = "en",
) -> None:
    """Write results as one HTML file that needs nothing else: a verdict, tables that sort, charts,
    assumptions and the data, to read, print and send.
    """
    render.check_output(output, "--output", (".html",))
    for module in ("jinja2", "matplotlib"):
        if find_spec(module) is None:
            raise MissingExtraError("flexp report", "report")
    from .html.page import page
    from .html.read import section
    from .html.words import words

    say = words(language)
    found = [section(path, say) for path in dict.fromkeys(results)]
    text = page([one for one, _ in found], [content for _, content in found], language)
    render.write_bytes(text.encode(), output)
