"""What choices of a value ask for at the least, by dynamic programming over the values.

Where the members' costs are whole numbers k of one unit, and `loads` is what they ask of one row,

    f[v] = min Σ load · x    over the choices with Σ k · x <= v

is found exactly, a member after the other (Dudziński and Walukiewicz, European Journal of
Operational Research 28, 1987). Bounds from prices let members divide themselves, this one doesn't.
"""

from __future__ import annotations

import numpy as np

from .problem import FloatArray, IntArray, Problem


class Ladder:
    """f up to `most` units, of columns that cost `units`, int64[N] >= 0, and ask for `loads`,
    float64[N]."""

    def __init__(self, problem: Problem, units: IntArray, loads: FloatArray, most: int) -> None:
        self.problem, self.units, self.loads = problem, units, loads
        self._steps = [self._of_group(group) for group in range(problem.groups)]
        self._tables = [np.zeros(most + 1)]
        for columns, count in zip(self._steps, problem.counts.tolist(), strict=True):
            for _ in range(count):
                self._tables.append(self._with_member(self._tables[-1], columns))

    def first(self, allowed: float) -> int:
        """The least value of which a choice asks no more than allowed; one more than `most` where
        there is none."""
        return int((self._tables[-1] > allowed).sum())

    def choice(self, value: int) -> IntArray:
        """int64[N]: what asks the least of all that cost no more."""
        x = np.zeros(self.problem.columns, dtype=np.int64)
        tables = iter(reversed(self._tables[:-1]))
        groups = zip(reversed(self._steps), self.problem.counts[::-1].tolist(), strict=True)
        for columns, count in groups:
            for _ in range(count):
                some = columns[self.units[columns] <= value]
                rest = next(tables)[value - self.units[some]] + self.loads[some]
                taken = some[rest.argmin()]
                x[taken] += 1
                value -= int(self.units[taken])
        return x

    def _of_group(self, group: int) -> IntArray:
        """The columns of a group that no other one of it betters, by cost."""
        first, last = self.problem.offsets[group : group + 2]
        order = first + np.lexsort((self.loads[first:last], self.units[first:last]))
        lowest = np.minimum.accumulate(self.loads[order])
        return order[np.append(True, lowest[1:] < lowest[:-1])]

    def _with_member(self, before: FloatArray, columns: IntArray) -> FloatArray:
        after = np.full_like(before, np.inf)
        units, loads = self.units[columns].tolist(), self.loads[columns].tolist()
        for unit, load in zip(units, loads, strict=True):
            if unit < len(before):
                part = after[unit:]
                np.minimum(part, before[: len(part)] + load, out=part)
        return after


def effort(problem: Problem, most: int) -> int:
    """Additions that a ladder takes at the most."""
    return int(problem.counts @ np.diff(problem.offsets)) * (most + 1)
