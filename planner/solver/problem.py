"""The program in arrays: groups of equal clients, their options, and the rows that they share.

minimise  Σ_o cost[o] · x[o]
where     Σ_{o in group g} x[o] = counts[g]     for each group g
          Σ_o weights[r, o] · x[o] <= caps[r]   for each row r
          x[o] integer, >= 0
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ROW_TOLERANCE = 1e-9
"""By how much of its cap a row may be overrun; bounds and proofs allow for it as well."""


@dataclass(frozen=True, eq=False)
class Product:
    """x[part] = (Σ x over columns) · x[place], where the place is a share from 0 to 1, and so many
    members of one group as the part has are on these columns at the most."""

    place: int
    part: int
    columns: IntArray

    def among(self, columns: IntArray) -> Product:
        """In a problem of the given columns (sorted)."""
        place, part = np.searchsorted(columns, [self.place, self.part]).tolist()
        return Product(place, part, np.flatnonzero(np.isin(columns, self.columns)))


@dataclass(frozen=True, eq=False)
class Problem:
    """G groups, N columns (options), R rows. Column o belongs to the group g with
    offsets[g] <= o < offsets[g + 1].

    Raises ValueError where shapes disagree, a number is not finite, a group has no column or no
    member.
    """

    counts: IntArray
    """int64[G]: members of each group, at least 1."""
    offsets: IntArray
    """int64[G + 1]: where the columns of each group begin; the last entry is N."""
    cost: FloatArray
    """float64[N]: cost of one member that takes the column."""
    weights: FloatArray
    """float64[R, N]: what one member that takes the column asks of each row."""
    caps: FloatArray
    """float64[R], in the unit of the row."""
    rows: tuple[str, ...]
    """R names, such as "C4_server_memory"."""
    divisible: int = 0
    """How many of the last groups may divide their members between columns as they like: there x
    needn't be whole."""
    products: tuple[Product, ...] = ()
    """What only an integer program keeps; bounds from prices are without it."""
    without: tuple[IntArray, ...] = ()
    """int64[N] each: choices that an integer program leaves out; shares of divisible groups don't
    count, and choices that divide the members of another group are not left out."""

    def __post_init__(self) -> None:
        columns, rows = len(self.cost), len(self.caps)
        if self.weights.shape != (rows, columns) or len(self.rows) != rows:
            raise ValueError(
                f"weights are {self.weights.shape}, for {rows} caps, {len(self.rows)} row names "
                f"and {columns} columns"
            )
        if len(self.offsets) != len(self.counts) + 1 or len(self.counts) == 0:
            raise ValueError(f"{len(self.offsets)} offsets for {len(self.counts)} groups")
        if self.offsets[0] != 0 or self.offsets[-1] != columns or (np.diff(self.offsets) < 1).any():
            raise ValueError("every group needs at least one column")
        if (self.counts < 1).any():
            raise ValueError("every group needs at least one member")
        if not all(np.isfinite(a.sum()) for a in (self.cost, *self.weights, self.caps)):
            raise ValueError("costs, weights and caps must be finite numbers")

    @property
    def whole(self) -> BoolArray:
        """bool[N]: the columns that take whole members."""
        whole = np.ones(self.columns, dtype=bool)
        whole[self.offsets[self.groups - self.divisible] :] = False
        return whole

    @property
    def groups(self) -> int:
        return len(self.counts)

    @property
    def columns(self) -> int:
        return len(self.cost)

    @cached_property
    def members(self) -> int:
        """Of all groups together."""
        return int(self.counts.sum())

    @cached_property
    def limits(self) -> FloatArray:
        """float64[R]: caps with the tolerance on top."""
        return self.caps + ROW_TOLERANCE * np.abs(self.caps)

    @cached_property
    def row_units(self) -> FloatArray:
        """float64[R], positive: a member's equal share of each cap, to make rows comparable."""
        units = np.abs(self.caps) / self.members
        largest = np.array([np.abs(row).max() for row in self.weights])
        return np.where(units > 1e-6 * largest, units, np.where(largest > 0, largest, 1.0))

    def group_of(self, columns: IntArray) -> IntArray:
        """The group of each of the given columns."""
        return np.searchsorted(self.offsets, columns, side="right") - 1

    def spread(self, of_groups: FloatArray) -> FloatArray:
        """float64[N] from float64[G]."""
        return np.repeat(of_groups, np.diff(self.offsets))

    def value(self, x: IntArray) -> float:
        """Σ cost · x, rounded once for each product and once for the sum, whatever the order."""
        used = np.flatnonzero(x)
        return math.fsum((self.cost[used] * x[used]).tolist())

    def loads(self, x: IntArray) -> FloatArray:
        """float64[R]: what x asks of each row."""
        used = np.flatnonzero(x)
        members = x[used].astype(float)
        return np.array([float((row[used] * members).sum()) for row in self.weights])

    def feasible(self, x: IntArray) -> bool:
        """Whether x gives every member one column and keeps all rows."""
        placed = np.add.reduceat(x, self.offsets[:-1])
        return bool(
            (x >= 0).all()
            and (placed == self.counts).all()
            and (self.loads(x) <= self.limits).all()
        )

    def leaves_all(self, allowed: BoolArray) -> bool:
        """Whether every group has one of the allowed columns, bool[N]."""
        return bool(np.logical_or.reduceat(allowed, self.offsets[:-1]).all())

    def part(self, groups: IntArray) -> tuple[Problem, IntArray, float]:
        """Only the given groups (sorted), with the caps shared out by members; their columns, and
        the share of the members."""
        sizes = np.diff(self.offsets)[groups]
        columns = np.repeat(self.offsets[groups] - (np.cumsum(sizes) - sizes), sizes)
        columns += np.arange(sizes.sum())
        counts = self.counts[groups]
        share = float(counts.sum() / self.members)
        taken = Problem(
            counts,
            np.concatenate([[0], np.cumsum(sizes)]),
            self.cost[columns],
            take_columns(self.weights, columns),
            self.caps * share,
            self.rows,
        )
        return taken, columns, share

    def keep(self, columns: IntArray) -> Problem:
        """Only the given columns (sorted); each group must keep at least one, divisible ones all of
        theirs."""
        offsets = np.searchsorted(columns, self.offsets)
        return Problem(
            self.counts,
            offsets,
            self.cost[columns],
            take_columns(self.weights, columns),
            self.caps,
            self.rows,
            self.divisible,
            tuple(product.among(columns) for product in self.products),
            tuple(x[columns] for x in self.without if x[columns].sum() == x.sum()),
        )


def take_columns(table: FloatArray, columns: IntArray) -> FloatArray:
    """table[:, columns], row by row and contiguous."""
    taken = np.empty((len(table), len(columns)))
    for row, full in zip(taken, table, strict=True):
        np.take(full, columns, out=row)
    return taken
