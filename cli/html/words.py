"""The report's words by language. What the planner says in sentences of its own (reasons, sources,
names) stays as it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...catalog.files import read_mapping
from .parts import Say


@cache
def japanese() -> dict[str, str]:
    """By the English text."""
    return read_mapping(Path(__file__).with_name("ja.yaml"))


def words(language: str) -> Say:
    """English texts as they are, or in Japanese where that is known."""
    return (lambda text: japanese().get(text, text)) if language == "ja" else (lambda text: text)
