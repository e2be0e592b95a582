"""From sections to one HTML file that needs nothing else, by Jinja2. Needs [report]."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from ... import __version__
from ...catalog.files import Contract
from .parts import Say, Section
from .words import words

HERE = Path(__file__).parent


def page(sections: Sequence[Section], contents: Sequence[Contract], language: str) -> str:
    """`contents` go into the page as JSON, tables as CSV."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["csv_link"] = csv_link
    template = environment.from_string(_file("report.html.j2"))
    return template.render(
        say=words(language),
        language=language,
        title=_title(contents, words(language)),
        sections=sections,
        style=_file("report.css"),
        script=_file("report.js"),
        data=_json(contents),
        version=__version__,
    )


def _title(contents: Sequence[Contract], say: Say) -> str:
    """With the fleets that it is about."""
    fleets = dict.fromkeys(one.fleet for one in contents if hasattr(one, "fleet"))
    return say("Report: {}").format(", ".join(fleets)) if fleets else say("Report")


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _json(contents: Sequence[Contract]) -> str:
    """Inside of a script element: no "<" that could end it."""
    data = [content.model_dump(mode="json") for content in contents]
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def csv_link(text: str) -> str:
    """A data: address that holds the file."""
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"
