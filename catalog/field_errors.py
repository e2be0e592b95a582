"""From what pydantic found wrong in a file to one error that names each line, field and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import FieldError
from .lines import file_line

SHOWN = 20
"""Problems that are told one by one; the others are counted."""

WORDS = {
    "extra_forbidden": "unknown key",
    "string_type": "expected text, in quotes where it looks like a number",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping (key: value)",
    "model_type": "expected a mapping (key: value)",
}
"""For pydantic's kinds of error whose own words speak of Python."""


def field_error(path: Path, data: dict[str, Any], error: ValidationError) -> FieldError:
    """`error`, which `data` of the file `path` raised, as a FieldError with a line for each
    problem."""
    problems = []
    for item in error.errors(include_url=False):
        location = _without_tags(item["loc"], data, item["type"] == "missing")
        in_union = len(location) < len(item["loc"])
        if in_union and item["type"] == "string_type" and isinstance(item["input"], dict):
            continue  # a name or a record is allowed, and this record has its own problems
        if in_union and item["type"] == "model_type":
            continue  # neither: the name's problem is told
        if item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]:
            continue  # its items have problems of their own, said above
        message = WORDS.get(item["type"], item["msg"].removeprefix("Value error, "))
        whole = item["type"] == "value_error" and isinstance(item["input"], dict)
        found = "" if whole or item["type"] == "missing" else f", found {_short(item['input'])}"
        problems.append((location, f"{message}{found}"))
    lines = [
        f"{file_line(path, location)}: {'.'.join(map(str, location)) or 'file'}: {text}"
        for location, text in problems[:SHOWN]
    ]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN} more problems in {path}")
    return FieldError("\n".join(lines), "`flexp schema` prints what each file may hold")


def _without_tags(location: tuple[Any, ...], data: Any, missing: bool) -> tuple[Any, ...]:
    """`location` without the parts that pydantic adds for the members of a union."""
    kept = []
    for index, part in enumerate(location):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            if not missing or index < len(location) - 1:
                continue
        kept.append(part)
    return tuple(kept)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
