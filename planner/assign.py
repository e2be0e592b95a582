"""From counts of columns to devices: who takes which variant, on which machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .program import Program
from .solver.problem import FloatArray, IntArray


class Run(NamedTuple):
    """Members `first` to `first + members - 1` (from 1) of one client entry that do the same."""

    client: int
    """Index of the entry."""
    first: int
    members: int
    column: int
    """Index in the program."""
    kind: int
    """Of server; -1 for taking no part."""
    machine: int = 0
    """Which of the machines of this kind, from 0."""


def runs(program: Program, x: IntArray, counts: IntArray, order: Sequence[int]) -> list[Run]:
    """Members of a group take its columns in the menu's order of preference, entry by entry.

    `x` is int64[N], `counts` int64[C], the members of each entry, `order` the C entries' indices
    in the fleet. Entries and columns are two divisions of one line, on which the members of all
    groups stand, group after group; a run is a piece that neither divides further.
    """
    entries = np.argsort(program.origin.group, kind="stable")
    used = np.flatnonzero(x)
    entry_ends, column_ends = np.cumsum(counts[entries]), np.cumsum(x[used])
    ends = np.sort(np.concatenate([entry_ends, column_ends]))
    ends = ends[np.diff(ends, prepend=0) > 0]
    starts = np.concatenate([[0], ends[:-1]])
    at = np.searchsorted(entry_ends, starts, side="right")
    first = starts - (entry_ends - counts[entries])[at] + 1
    column = used[np.searchsorted(column_ends, starts, side="right")]
    members, entry = ends - starts, entries[at]
    rising = np.lexsort((first, entry))
    table = (np.asarray(order)[entry], first, members, column, program.kind[column])
    return list(map(Run, *(values[rising].tolist() for values in table)))


def on_machines(program: Program, planned: Sequence[Run], level: FloatArray) -> list[Run]:
    """Every run on a machine of its kind, as evenly as single devices allow.

    What a member of each column asks of its machine, as shares of the machine's caps, is that at
    `level`, float64[K]. Large loads are placed first, each where the fullest row stays lowest.
    """
    machines_of, placed = program.servers.count.tolist(), list(planned)
    if max(machines_of) > 1:
        loads = program.shares(level)
        placed = [run for run in planned if run.kind < 0]
        for kind, machines in enumerate(machines_of):
            placed += _spread([run for run in planned if run.kind == kind], machines, loads)
    return sorted(placed, key=lambda run: (run.client, run.first))


def _spread(mine: Sequence[Run], machines: int, loads: FloatArray) -> Iterator[Run]:
    used = np.zeros((machines, len(loads)))
    for run in sorted(mine, key=lambda r: -float(loads[:, r.column].max())):
        share, rest = divmod(run.members, machines)
        taken = np.full(machines, share)
        used += share * loads[:, run.column]
        for _ in range(rest):
            lowest = int((used + loads[:, run.column]).max(axis=1).argmin())
            used[lowest] += loads[:, run.column]
            taken[lowest] += 1
        first = run.first
        for machine, count in enumerate(taken.tolist()):
            if count:
                yield run._replace(first=first, members=count, machine=machine)
                first += count
