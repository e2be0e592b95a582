"""Where in a file a value stands: looked up when there is something to say about it, not before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A value in a file, such as ("clients", 3, "device"); as text "FILE:LINE: FIELD: "."""

    path: Path | None
    """None: it came from no file."""
    location: Location
    who: str = ""
    """Whose value it is, in words, such as "client 'ann'"."""

    def __str__(self) -> str:
        field = ".".join(map(str, self.location))
        file = f"{self.file_line}: {field}: " if self.path else ""
        return file + (f"{self.who}: " if self.who else "")

    def __truediv__(self, key: str | int) -> Place:
        """The place of a part of this value."""
        return Place(self.path, (*self.location, key), self.who)

    @property
    def file_line(self) -> str:
        """ "FILE:LINE"; the field where there is no file."""
        if self.path is None:
            return ".".join(map(str, self.location))
        return file_line(self.path, self.location)


def file_line(path: Path, location: Location) -> str:
    """ "FILE:LINE" of the deepest part of `location` that the file holds; "FILE" where that is not
    known, as in JSON that YAML does not understand."""
    try:
        node = _root(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, yaml.YAMLError):
        return str(path)
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                continue  # a missing key: its parent's line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return f"{path}:{line}"


@lru_cache(maxsize=1)
def _root(text: str) -> yaml.Node | None:
    """Kept, as one error may name many lines of a large file; JSON is YAML too."""
    return yaml.compose(text, Loader=yaml.CSafeLoader)
