"""Many things at once: a column for each of their fields, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any


def columns(fields: Sequence[str], things: Sequence[object]) -> dict[str, tuple[Any, ...]]:
    """Of each of two or more fields ("link.rtt_seconds": of a part) every thing's value, in one
    pass over the things."""
    read = zip(*map(attrgetter(*fields), things), strict=True)
    return dict(zip(fields, read, strict=True)) if things else dict.fromkeys(fields, ())


def rows(table: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """A mapping for each thing, made when it is its turn."""
    values = zip(*table.values(), strict=True)
    return map(dict, map(zip, itertools.repeat(tuple(table)), values))
