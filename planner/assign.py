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


def runs(program: Program, x: IntArray, counts: IntArray) -> list[Run]:
    """Members of a group take its columns in the menu's order of preference, entry by entry.

    `x` is int64[N], `counts` int64[C], the members of each entry.
    """
    used = np.flatnonzero(x)
    left: list[list[list[int]]] = [[] for _ in range(program.static.groups)]
    for group, column, members, kind in zip(
        program.static.group_of(used).tolist(),
        used.tolist(),
        x[used].tolist(),
        program.kind[used].tolist(),
        strict=True,
    ):
        left[group].append([column, members, kind])
    found: list[Run] = []
    for open_columns, entries in zip(left, program.origin.members(), strict=True):
        for entry in entries.tolist():
            first, open_members = 1, int(counts[entry])
            while open_members:
                column, available, kind = open_columns[0]
                taken = min(available, open_members)
                found.append(Run(entry, first, taken, column, kind))
                first, open_members = first + taken, open_members - taken
                open_columns[0][1] -= taken
                if not open_columns[0][1]:
                    open_columns.pop(0)
    return sorted(found, key=lambda run: (run.client, run.first))


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
