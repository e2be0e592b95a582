"""All that some clients may do, before any of it becomes a column of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .solver.aggregate import Part
from .solver.problem import BoolArray, FloatArray, IntArray

NUMBERS = (
    *("apart", "up", "down", "up_share", "down_share"),
    *("service", "visit", "visits", "rounds", "absent"),
)
"""Of an option, as in planner/program.py; `visit`: seconds of the visit that a busy accelerator is
in."""


@dataclass(frozen=True, eq=False)
class Options:
    """Of n client entries, O variants and K kinds of servers. Tables are [n, O, K], or what
    broadcasts to it."""

    counts: IntArray
    """int64[n]: members of each entry."""
    possible: BoolArray
    """[n, O, K]: what keeps the client's own limits and fits a server of its own."""
    memory: Sequence[FloatArray]
    """Bytes on each kind of server."""
    numbers: Mapping[str, FloatArray]
    """By the names in `NUMBERS`."""
    per_second: Sequence[FloatArray]
    """Of each objective: cost of a second of the step."""
    fixed: Sequence[FloatArray]

    @cached_property
    def seconds(self) -> FloatArray:
        """[n, O, K]: of a step without waiting; no step is shorter."""
        numbers = self.numbers
        return numbers["apart"] + numbers["up"] + numbers["down"] + numbers["service"]

    @cached_property
    def least_cost(self) -> FloatArray:
        """[n, O, K]: by the first objective, without waiting; inf where it is not possible."""
        cost = self.per_second[0] * self.seconds + self.fixed[0]
        return np.where(self.possible, cost, np.inf)

    @property
    def tables(self) -> list[FloatArray]:
        """What a column has, in the order of `Part.numbers`."""
        numbers = [self.numbers[name] for name in NUMBERS]
        return [self.seconds, *self.memory, *numbers, *self.per_second, *self.fixed]

    def most_traffic(self) -> FloatArray:
        """float64[2, K]: use of one machine's link to the server, and from it, by everyone at the
        option that asks the most of it, without waiting."""
        often = 1 / np.where(self.possible & (self.seconds > 0), self.seconds, np.inf)
        asked = [
            self.numbers[f"{way}_share"][:, 0] * (self.numbers[way] * often).max(axis=1)
            for way in ("up", "down")
        ]
        return np.array([self.counts @ table for table in asked])

    def part(self, taken: BoolArray) -> Part:
        """Those taken, [n, O, K]: at least one of each client."""
        options, kinds = taken.shape[1:]
        places = np.flatnonzero(taken)
        client, column = np.divmod(places, options * kinds)
        option, kind = np.divmod(column, kinds)
        known = {taken.shape: places}

        def there(shape: tuple[int, ...]) -> IntArray:
            """Where the options taken stand in a table of a shape."""
            if shape not in known:
                along = zip(shape, (client, option, kind), strict=True)
                found = np.zeros_like(places)
                for size, index in along:
                    found = found * size + (index if size > 1 else 0)
                known[shape] = found
            return known[shape]

        tables = self.tables
        numbers = np.empty((len(tables), len(places)))
        for row, table in zip(numbers, tables, strict=True):
            np.take(table.reshape(-1), there(table.shape), out=row)
        sizes = np.bincount(client, minlength=len(taken))
        return Part(sizes, self.counts, column.astype(np.int32), numbers)


def cheapest(cost: FloatArray, most: int) -> BoolArray:
    """[n, O, K]: `most` options of each client, the cheapest ones by `cost`, [n, O, K]; more where
    some cost the same, fewer where not so many are finite."""
    table = cost.reshape(len(cost), -1)
    if table.shape[1] > most:
        last = np.partition(table, most - 1, axis=1)[:, most - 1, None, None]
        return (cost <= last) & (cost < np.inf)
    return cost < np.inf
