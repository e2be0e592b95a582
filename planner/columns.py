"""Many things at once: a column for each of their fields, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any


def columns(fields: Sequence[str], things: Sequence[object]) -> dict[str, tuple[Any, ...]]:
    """Of each field ("link.rtt_seconds": of a part) every thing's value, in one pass over the
    things."""
    if not things:
        return dict.fromkeys(fields, ())
    read = map(attrgetter(*fields), things)
    every = zip(*read, strict=True) if len(fields) > 1 else [tuple(read)]
    return dict(zip(fields, every, strict=True))


def rows(table: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """A mapping for each thing, made when it is its turn."""
    values = zip(*table.values(), strict=True)
    return map(dict, map(zip, itertools.repeat(tuple(table)), values))
