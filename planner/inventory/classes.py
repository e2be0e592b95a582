"""From the rows of an inventory to the clients of a fleet file, equal devices together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ...catalog.device import Device, Link
from ...catalog.lines import Place
from ...catalog.problems import Problems
from ...errors import FieldError, FlexpError, UnknownNameError
from ..fleet import ClientEntry, Fragment
from ..names import check_members
from . import lines, machines
from .meanings import Meanings, Spec, slug
from .reading import Row

S = TypeVar("S")
F = TypeVar("F", Device, Link)


class Imported(NamedTuple):
    """What an inventory becomes."""

    fragment: Fragment
    members: Mapping[str, tuple[str, ...]]
    """A class to what the inventory calls its members, in order; those without a name left out."""


class _Kind(NamedTuple):
    """What rows of one class have in common."""

    device: Spec[Device]
    link: Spec[Link]
    site: str
    min_depth: int | None
    max_depth: int | None
    optional: bool
    name: str | None
    """Of a row that is an entry of its own."""

    def title(self, with_link: bool) -> str:
        parts = [self.site, self.device.name, *([self.link.name] if with_link else [])]
        return slug("-".join(part for part in parts if part))


def import_rows(rows: Sequence[Row], meanings: Meanings, each: bool = False) -> Imported:
    """A class for equal devices of one site, in the order of the first of them. A row with a name
    and a count is a class of its own, and with `each` every row with a name is an entry.

    Raises FieldError or UnknownNameError with file, row and column, for up to 20 mistakes at once.
    """
    _check_used(rows, meanings)
    problems = Problems()
    devices = _by_text(rows, machines.FIELDS, lambda row: machines.machine(row, meanings), problems)
    links = _by_text(rows, lines.FIELDS, lambda row: lines.line(row, meanings), problems)
    kinds: dict[_Kind, list[tuple[str, int]]] = {}
    named: dict[str, Row] = {}
    for row in rows:
        with problems.caught():
            count, name = row.whole("count") or 1, _own_name(row, named)
            depths, optional = _depths(row), row.flag("optional")
            if id(row) in devices and id(row) in links:
                kind = _Kind(
                    devices[id(row)],
                    links[id(row)],
                    row.text("site"),
                    *depths,
                    optional,
                    name if each or count > 1 else None,
                )
                kinds.setdefault(kind, []).append((row.text("name"), count))
    problems.done()
    return _fragment(kinds, set(named))


def _check_used(rows: Sequence[Row], meanings: Meanings) -> None:
    """UnknownNameError for a text that is said to mean something, and stands nowhere."""
    for option, texts, fields in (
        ("--device", meanings.devices, ("device", "gpu", "cpu")),
        ("--link", meanings.links, ("link", "site")),
    ):
        cells = {row.text(field) for row in rows for field in fields} - {""}
        for text in texts:
            if text not in cells:
                raise UnknownNameError("cell", text, sorted(cells), f"{option}: ")


def _by_text(
    rows: Iterable[Row],
    fields: Sequence[str],
    interpret: Callable[[Row], S],
    problems: Problems,
) -> dict[int, S]:
    """id of a row to what it means; rows with the same text in `fields` are interpreted, and
    complained of, once."""
    same: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        same.setdefault(tuple(row.text(field) for field in fields), []).append(row)
    found = {}
    for equal in same.values():
        with problems.caught():
            try:
                meaning = interpret(equal[0])
            except FlexpError as error:
                if len(equal) > 1:
                    error.message += f" (in {len(equal):,} rows)"
                raise
            found.update({id(row): meaning for row in equal})
    return found


def _own_name(row: Row, named: dict[str, Row]) -> str | None:
    """The row's name as a fleet file may have it; FieldError for one that stands there twice."""
    text = row.text("name")
    if not text:
        return None
    name = slug(text)
    if name in named:
        raise FieldError(
            f"{row.where('name')}{text!r} stands in line {named[name].line} too",
            "every device needs a name of its own, or none",
        )
    named[name] = row
    return name


def _depths(row: Row) -> tuple[int | None, int | None]:
    least, most = row.whole("min_depth"), row.whole("max_depth")
    if least and most and least > most:
        raise FieldError(f"{row.where('max_depth')}{most} is below the row's min_depth {least}")
    return least, most


def _fragment(kinds: Mapping[_Kind, Sequence[tuple[str, int]]], taken: set[str]) -> Imported:
    """A single device keeps its name; a class is called by its site and device, and by its link
    too where that is not enough."""
    devices, links = _own_names(k.device for k in kinds), _own_names(k.link for k in kinds)
    own = {kind: kind.name or _single(rows) for kind, rows in kinds.items()}
    titles = Counter(kind.title(with_link=False) for kind in kinds if own[kind] is None)
    clients, members = [], {}
    for kind, rows in kinds.items():
        name = own[kind]
        if name is None:
            several = titles[kind.title(with_link=False)] > 1
            name = _free(kind.title(with_link=several), taken)
            taken.add(name)
            members[name] = tuple(text for text, _ in rows if text)
        clients.append(
            ClientEntry(
                name=name,
                count=sum(count for _, count in rows),
                device=devices[kind.device],
                link=links[kind.link],
                min_depth=kind.min_depth,
                max_depth=kind.max_depth,
                optional=kind.optional,
            )
        )
    check_members("clients", ((entry, Place(None, ("clients",))) for entry in clients))
    fragment = Fragment.model_validate(
        {
            "devices": _figures(devices),
            "links": _figures(links),
            "clients": clients,
        }
    )
    return Imported(fragment, members)


def _single(rows: Sequence[tuple[str, int]]) -> str | None:
    """The name of rows that are one device with a name."""
    (text, count), *others = rows
    return slug(text) if text and count == 1 and not others else None


def _own_names(specs: Iterable[Spec[F]]) -> dict[Spec[F], str]:
    """What each is called: figures of one rounded name get names of their own."""
    names: dict[Spec[F], str] = {}
    for spec in specs:
        if spec not in names:
            taken = set(names.values()) if spec.figures else set()
            names[spec] = _free(spec.name, taken)
    return names


def _figures(names: Mapping[Spec[F], str]) -> dict[str, dict[str, object]]:
    return {
        name: spec.figures.model_dump(exclude={"name"}, exclude_none=True)
        for spec, name in names.items()
        if spec.figures is not None
    }


def _free(name: str, taken: set[str]) -> str:
    """`name`, or with the first number that makes it one of its own."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}.{number}", number + 1
    return free
