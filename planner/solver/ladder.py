"""What choices of a value ask for at the least, by dynamic programming over the values.

Where the members' costs are whole numbers k of one unit, and `loads` is what they ask of one row,

    f[v] = min Σ load · x    over the choices with Σ k · x <= v

is found exactly, a member after the other (Dudziński and Walukiewicz, European Journal of
Operational Research 28, 1987). The bound of prices lets members divide themselves, this one not.
"""

from __future__ import annotations

import numpy as np

from .problem import FloatArray, IntArray, Problem


class Ladder:
    """Of the choices of a problem that cost up to `most` units; `units`, int64[N] >= 0, are those
    of its columns."""

    def __init__(self, problem: Problem, units: IntArray, most: int) -> None:
        self.problem, self.units, self.most = problem, units, most
        self._group = problem.group_of(np.arange(problem.columns))

    @property
    def effort(self) -> int:
        """Additions that it takes to find f."""
        problem = self.problem
        members = np.repeat(problem.counts, np.diff(problem.offsets))
        return int(members.sum()) * (self.most + 1)

    def least(self, loads: FloatArray, allowed: float) -> tuple[int, IntArray | None]:
        """The first v at which f is no more than allowed, and a choice of that value, int64[N]; one
        more than `most`, and None, where there is none."""
        problem, tables = self.problem, [np.zeros(self.most + 1)]
        steps = [self._steps(group, loads) for group in range(problem.groups)]
        for columns, count in zip(steps, problem.counts.tolist(), strict=True):
            for _ in range(count):
                tables.append(self._with_member(tables[-1], columns, loads))
        enough = np.flatnonzero(tables[-1] <= allowed)
        if len(enough) == 0:
            return self.most + 1, None
        left, x = int(enough[0]), np.zeros(problem.columns, dtype=np.int64)
        for columns, count in zip(reversed(steps), problem.counts[::-1].tolist(), strict=True):
            for _ in range(count):
                tables.pop()
                columns = columns[self.units[columns] <= left]
                rest = tables[-1][left - self.units[columns]] + loads[columns]
                taken = columns[rest.argmin()]
                x[taken] += 1
                left -= int(self.units[taken])
        return int(enough[0]), x

    def _steps(self, group: int, loads: FloatArray) -> IntArray:
        """The columns of a group that no other one of it betters, by cost."""
        first, last = self.problem.offsets[group : group + 2]
        order = first + np.lexsort((loads[first:last], self.units[first:last]))
        lowest = np.minimum.accumulate(loads[order])
        return order[np.append(True, lowest[1:] < lowest[:-1])]

    def _with_member(self, before: FloatArray, columns: IntArray, loads: FloatArray) -> FloatArray:
        after = np.full_like(before, np.inf)
        for unit, load in zip(self.units[columns].tolist(), loads[columns].tolist(), strict=True):
            if unit <= self.most:
                part = after[unit:]
                np.minimum(part, before[: len(part)] + load, out=part)
        return after
