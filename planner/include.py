"""A fleet in several files: the fragments that a fleet file includes, read in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..catalog.files import read_contract
from ..catalog.lines import Place
from ..errors import FieldError, MissingFileError
from .fleet import Fleet, Fragment


@dataclass(frozen=True)
class Part:
    """One file of a fleet."""

    content: Fragment
    folder: Path
    """Where names of files in it are looked for."""
    path: Path | None
    """None: a fleet that came from no file."""

    def place(self, *location: str | int, who: str = "") -> Place:
        return Place(self.path, location, who)


def parts(fleet: Fleet, folder: Path, path: Path | None) -> list[Part]:
    """The files that `fleet` includes, each before the file that includes it, and `fleet` last.

    Raises MissingFileError, SyntaxFileError or FieldError: also for a file that is included twice
    or includes itself.
    """
    seen: dict[Path, Place | None] = {path.resolve(): None} if path else {}
    return list(_parts(Part(fleet, folder, path), seen))


def _parts(part: Part, seen: dict[Path, Place | None]) -> Iterator[Part]:
    for number, name in enumerate(part.content.include):
        place = part.place("include", number)
        path = part.folder / name
        if not path.is_file():
            raise MissingFileError(f"{place}{path}", "paths are relative to the including file")
        real = path.resolve()
        if real in seen:
            first = seen[real]
            raise FieldError(
                f"{place}{path} is part of this fleet already"
                + (f", included at {first.file_line}" if first else ""),
                "include each file once, and none that includes itself",
            )
        seen[real] = place
        yield from _parts(Part(read_contract(Fragment, path), path.parent, path), seen)
    yield part
