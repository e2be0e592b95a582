"""The names of a fleet: which members a class has, and that no two things are called the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..catalog.lines import Place
from ..errors import FieldError
from .fleet import ClientEntry, ResolvedClient, ResolvedServer, ServerEntry

Entry = ClientEntry | ServerEntry | ResolvedClient | ResolvedServer
T = TypeVar("T")


def member_names(entry: Entry) -> Iterator[str]:
    """The names of an entry's members: "pi" of one is "pi", of ten "pi-01" to "pi-10"."""
    for number in range(1, entry.count + 1):
        yield member_name(entry.name, number, entry.count)


def member_name(name: str, number: int, count: int) -> str:
    """The name of one member, from 1, of a class of `count`."""
    return name if count == 1 else f"{name}-{number:0{len(str(count))}}"


def by_name(noun: str, named: Iterable[tuple[str, T, Place]]) -> dict[str, T]:
    """The things by name, in order; FieldError with both places for two of one name."""
    found: dict[str, T] = {}
    places: dict[str, Place] = {}
    for name, thing, place in named:
        if name in found:
            raise FieldError(
                f"{place}two {noun} are named {name!r}, the other one at {places[name].file_line}",
                "rename one of them, or leave it out",
            )
        found[name], places[name] = thing, place
    return found


def check_members(noun: str, entries: Iterable[tuple[ClientEntry | ServerEntry, Place]]) -> None:
    """FieldError where two members would have one name, such as "a-1" and the first one of class
    "a". No name is written out for that, so that a class may have a million members."""
    every = list(entries)
    by_name(noun, ((entry.name, entry, place) for entry, place in every))
    classes = {entry.name: (entry.count, place) for entry, place in every if entry.count > 1}
    for entry, place in every:
        name, _, number = entry.name.rpartition("-")
        count, of_class = classes.get(name, (0, place))
        numbered = number.isascii() and number.isdigit() and len(number) == len(str(count))
        if numbered and 1 <= int(number) <= count:
            raise FieldError(
                f"{place}two {noun} are named {entry.name!r}, the other one in class {name!r} at "
                f"{of_class.file_line}",
                "rename one of them",
            )
