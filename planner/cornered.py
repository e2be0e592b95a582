"""The bound of a box from its corners: the place in it is one for all clients.

What a column costs and asks of the rows lies above what is straight along each edge of a box, from
corner to corner (planner/corners.py). So does, for prices λ and any one choice,

    Σ_clients (cost(t) + λ · asked(t)) − λ · caps(t)

over the places t of the box, and what is straight along each edge is least at a corner. There each
client may take the column that is the cheapest for it, hence

    L(λ) = min over corners c of Σ_g n_g · min_o (cost[o](c) + λ · asked[o](c)) − λ · caps(c)

is no more than what any choice costs that keeps the rows somewhere in the box. It is concave in λ.

A corner is one of all servers together. Where these are too many, each column takes the better end
of some edges by itself, which costs no more either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .boxes import Box, Price
from .corners import corners
from .solver.lagrangian import EPSILON, Evaluation
from .solver.problem import ROW_TOLERANCE, BoolArray, FloatArray, IntArray, Problem

MOST_ENTRIES = 1 << 19
"""Corners of all servers together, times groups."""


class Cornered:
    """L of the `usable` columns of a box, bool[N], of which each group has one.

    `columns` are those, int64[n]. `problem` has rows that each choice keeps which keeps them
    anywhere in the box, and the highest cost of each column.
    """

    def __init__(self, box: Box, price: Price, usable: BoolArray) -> None:
        program, self.columns = box.fast, np.flatnonzero(usable)
        static, found = program.static.keep(self.columns), box.bounds
        rows, count = list(box.rows(found)), len(static.caps)
        cost = price.of(found.seconds)[:, self.columns]
        asked = [np.broadcast_to(row, cost.shape) for row in static.weights]
        asked += [row.weights[:, self.columns] for row in rows]
        edges = len(program.servers) * box.dimensions
        self._edges, joint = edges, _joint(edges, box.dimensions, static.groups)
        ends = corners(len(joint))
        self._ends = {edge: ends[:, i] for i, edge in enumerate(joint)}
        caps = np.empty((len(asked), len(ends)))
        caps[:count] = static.caps[:, None]
        for at, row in zip(caps[count:], rows, strict=True):
            low, high = row.caps
            edge = box.edge_of(row)
            if edge is None:
                at[:] = row.loosest
            else:
                at[:] = low + self._ends[edge] * (high - low) if edge in joint else max(low, high)
        self._limits = caps + ROW_TOLERANCE * np.abs(caps)
        names = (*static.rows, *(row.name for row in rows))
        self.problem = Problem(
            static.counts,
            static.offsets,
            cost.max(axis=0),
            np.array([weights.min(axis=0) for weights in asked]),
            caps.max(axis=1),
            names,
        )
        kinds, group = program.kind[self.columns], static.group_of(np.arange(len(self.columns)))
        self._served = [
            _served(kind, kinds, group, cost, asked, ends, joint, box.dimensions)
            for kind in sorted(set(kinds.tolist()))
        ]
        self._largest_cost = float(np.abs(cost).max())
        self._largest = np.array([np.abs(weights).max() for weights in asked])

    def __call__(self, multipliers: FloatArray, deadline: float = math.inf) -> Evaluation:
        """No column takes longer than the deadline, which is inf."""
        priced = [each.priced(multipliers) for each in self._served]
        low = self._low(priced)
        totals = self._totals(multipliers, low)
        corner = int(totals.argmin())
        chosen = np.zeros(low.shape[1], dtype=np.int64)
        loads = np.zeros(len(multipliers))
        open_ = np.ones(low.shape[1], dtype=bool)
        for each, table in zip(self._served, priced, strict=True):
            place = int(each.at[corner])
            here, first = each.cheapest(table[place])
            taken = open_[each.groups] & (here == low[corner, each.groups])
            groups, first = each.groups[taken], first[taken]
            open_[groups] = False
            chosen[groups] = each.columns[first]
            asked = each.asked(place, first, multipliers)
            loads[each.rows] += asked @ self.problem.counts[groups]
        excess = loads - self._limits[:, corner]
        bound = float(totals[corner]) - self._rounding(multipliers, low)
        return Evaluation(multipliers, bound, chosen, excess)

    def reduced_costs(self, at: Evaluation) -> FloatArray:
        """float64[n], >= 0: a choice x costs at least L + Σ reduced · x."""
        priced, low, _ = self._all(at)
        reduced = np.empty(len(self.columns))
        for each, table in zip(self._served, priced, strict=True):
            worst = np.array([low[each.at == p].max(axis=0) for p in range(len(table))])
            reduced[each.columns] = (table - each.spread(worst[:, each.groups])).min(axis=0)
        return reduced

    def alone(self, at: Evaluation) -> FloatArray:
        """float64[n]: a choice with a member on a column costs at least L and that."""
        priced, low, above = self._all(at)
        reduced = np.empty(len(self.columns))
        for each, table in zip(self._served, priced, strict=True):
            rest = above[:, None] - low
            best = np.array([rest[each.at == p].min(axis=0) for p in range(len(table))])
            reduced[each.columns] = (table + each.spread(best[:, each.groups])).min(axis=0)
        return reduced

    def of_ends(self, at: Evaluation) -> FloatArray:
        """float64[D, 2]: what is straight between L and one of these and L costs no more than a
        choice whose place is between the low and the high end of an edge."""
        _, _, above = self._all(at)
        found = np.zeros((self._edges, 2))
        for edge, end in self._ends.items():
            found[edge] = above[end == 0].min(), above[end == 1].min()
        return found

    def open(self, at: Evaluation, target: float) -> IntArray:
        """The corners where L is below the target."""
        low = self._all(at)[1]
        totals = self._totals(at.multipliers, low) - self._rounding(at.multipliers, low)
        return np.flatnonzero(totals < target)

    def asked(
        self, multipliers: FloatArray, some: IntArray | slice = slice(None)
    ) -> tuple[FloatArray, FloatArray]:
        """λ · asked of each column, float64[J, n], and λ · caps, float64[J], at some corners."""
        loads = np.empty((self._limits.shape[1], len(self.columns)))
        for each in self._served:
            loads[:, each.columns] = each.priced(multipliers, costs=False)[each.at]
        return loads[some], (multipliers @ self._limits)[some]

    def _all(self, at: Evaluation) -> tuple[list[FloatArray], FloatArray, FloatArray]:
        """Priced columns, float64[J, G] the lowest of each group at each corner, and float64[J] by
        how much L is higher there."""
        priced = [each.priced(at.multipliers) for each in self._served]
        low = self._low(priced)
        totals = self._totals(at.multipliers, low)
        return priced, low, totals - totals.min()

    def _low(self, priced: list[FloatArray]) -> FloatArray:
        low = np.full((self._limits.shape[1], self.problem.groups), np.inf)
        for each, table in zip(self._served, priced, strict=True):
            least = np.minimum.reduceat(table, each.begins, axis=1)[each.at]
            low[:, each.groups] = np.minimum(low[:, each.groups], least)
        return low

    def _totals(self, multipliers: FloatArray, low: FloatArray) -> FloatArray:
        totals: FloatArray = low @ self.problem.counts - multipliers @ self._limits
        return totals

    def _rounding(self, multipliers: FloatArray, low: FloatArray) -> float:
        """More than the error of L: R + 1 products and sums a column, G + 1 and R of the totals."""
        operations = 2 * len(multipliers) + low.shape[1] + 8
        column = self._largest_cost + float((multipliers * self._largest).sum())
        paid = float((multipliers * np.abs(self._limits).max(axis=1)).sum())
        return operations * EPSILON * (self.problem.members * column + paid)


@dataclass(frozen=True, eq=False)
class _Served:
    """The n columns on one kind of server, at C corners of its level and links."""

    columns: IntArray
    """int64[n]"""
    groups: IntArray
    """int64[g] that have any of them."""
    begins: IntArray
    """int64[g]: where those of each begin."""
    cost: FloatArray
    """float64[C, n]"""
    rows: IntArray
    """int64[r] of which they ask anything."""
    weights: FloatArray
    """float64[r, C, n]"""
    own: IntArray
    """int64[P, F]: the corners at each of the P places that corners of all servers tell apart."""
    at: IntArray
    """int64[J]: the place at each of the J corners of all servers."""

    def priced(self, multipliers: FloatArray, costs: bool = True) -> FloatArray:
        """float64[P, n]: cost + λ · asked, or that alone, at the best of F corners."""
        found = np.tensordot(multipliers[self.rows], self.weights, 1)
        if costs:
            found += self.cost
        best: FloatArray = found[self.own].min(axis=1)
        return best

    def cheapest(self, values: FloatArray) -> tuple[FloatArray, IntArray]:
        """The least of float64[n] in each group, float64[g], and the first column with it."""
        least = np.minimum.reduceat(values, self.begins)
        hits = np.flatnonzero(values == self.spread(least))
        return least, hits[np.searchsorted(hits, self.begins)]

    def asked(self, place: int, columns: IntArray, multipliers: FloatArray) -> FloatArray:
        """float64[r, m] of some of the columns, where they are the cheapest at a place."""
        corner = self.own[place][:, None]
        weights = self.weights[:, corner, columns]
        priced = self.cost[corner, columns] + np.tensordot(multipliers[self.rows], weights, 1)
        found: FloatArray = weights[:, priced.argmin(axis=0), np.arange(len(columns))]
        return found

    def spread(self, of_groups: FloatArray) -> FloatArray:
        """float64[..., n] from float64[..., g]."""
        return np.repeat(of_groups, np.diff([*self.begins, len(self.columns)]), axis=-1)


def cornered(box: Box, price: Price, usable: BoolArray) -> Cornered | None:
    """None where a group has no column that is usable, bool[N]."""
    return Cornered(box, price, usable) if box.fast.static.leaves_all(usable) else None


def _joint(edges: int, dimensions: int, groups: int) -> list[int]:
    """The edges, levels first, whose ends are the same for all columns."""
    most = int(math.log2(max(MOST_ENTRIES / groups, 1)))
    return sorted(range(edges), key=lambda edge: edge % dimensions)[:most]


def _served(
    kind: int,
    kinds: IntArray,
    group: IntArray,
    cost: FloatArray,
    asked: list[FloatArray],
    ends: FloatArray,
    joint: list[int],
    dimensions: int,
) -> _Served:
    columns = np.flatnonzero(kinds == kind)
    groups, begins = np.unique(group[columns], return_index=True)
    rows = np.flatnonzero([weights[:, columns].any() for weights in asked])
    mine = [i for i, edge in enumerate(joint) if edge // dimensions == kind]
    own = corners(dimensions)[:, [joint[i] % dimensions for i in mine]]
    place, at = (_number(table) for table in (own, ends[:, mine]))
    return _Served(
        columns,
        groups,
        begins,
        cost[:, columns],
        rows,
        np.array([asked[row][:, columns] for row in rows]).reshape(
            len(rows), *cost[:, columns].shape
        ),
        np.array([np.flatnonzero(place == p) for p in range(2 ** len(mine))]),
        at,
    )


def _number(ends: FloatArray) -> IntArray:
    """int64[M]: the ends of edges, float64[M, E], as binary digits."""
    digits = 2 ** np.arange(ends.shape[1])[::-1]
    return np.asarray(ends @ digits, dtype=np.int64)
