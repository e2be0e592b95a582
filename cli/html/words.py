"""The report in another language.

Texts are keyed by their English: `ja.yaml` has the report's own words, `ja-sentences.yaml` what the
planner says. A `{}` stands for a figure or a name, so that a sentence which is already filled in,
and lies in a file since last year, is known by its template; `{1}` in a translation is the second
of them. What is inside of a sentence, or joined by "; " or " × ", is translated part by part, and
what nobody knows stays as it is: names, units, and texts of a cost file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...catalog.files import read_mapping
from .parts import Say

FILES = ("ja.yaml", "ja-sentences.yaml")
JOINTS = ("; ", " × ")
"""Between texts that are known each for itself."""


class Translation:
    """Texts by their English, and templates of sentences."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        templates = [english for english in texts if "{}" in english]
        self.templates = [
            (re.compile("(.+?)".join(map(re.escape, english.split("{}"))), re.DOTALL), other)
            for english in sorted(templates, key=_fixed_letters, reverse=True)
            for other in (texts[english],)
        ]

    def say(self, text: str) -> str:
        """`text` translated as far as it is known."""
        if text in self.texts:
            return self.texts[text]
        if " " not in text:
            return text
        for pattern, other in self.templates:
            found = pattern.fullmatch(text)
            if found and not any(joint in part for joint in JOINTS for part in found.groups()):
                return other.format(*map(self._part, found.groups()))
        for joint in JOINTS:
            if joint in text:
                between = self.texts.get(joint.strip(), joint)
                return between.join(map(self.say, text.split(joint)))
        first, colon, rest = text.partition(": ")
        return f"{self.say(first)}: {self.say(rest)}" if colon else text

    def _part(self, text: str) -> str:
        """Of a sentence; one word is a name or a figure."""
        return self.say(text) if " " in text else text


def _fixed_letters(template: str) -> int:
    return len(template.replace("{}", ""))


@cache
def japanese() -> Translation:
    texts: dict[str, str] = {}
    for name in FILES:
        texts |= read_mapping(Path(__file__).with_name(name))
    return Translation(texts)


def words(language: str) -> Say:
    """English texts as they are, or in Japanese."""
    return japanese().say if language == "ja" else (lambda text: text)
