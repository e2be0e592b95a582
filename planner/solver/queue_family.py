"""A program at each level of its queues, as the searches over levels see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np

from .problem import BoolArray, FloatArray, IntArray, Problem


class Family(Protocol):
    """A program at each of the levels, float64[S] >= 0, of S queues."""

    @property
    def problem(self) -> Problem:
        """Without the queues' rows, which are the last S of the others."""

    def at(self, levels: FloatArray) -> Problem:
        """Columns and rows are the same at all levels."""

    def corners(self, low: FloatArray, high: FloatArray) -> list[Problem]:
        """Their least L(λ) bounds all levels from `low` to `high`."""

    def widest(self, low: FloatArray, high: FloatArray) -> Problem:
        """No dearer and no tighter than at any levels from `low` to `high`."""

    def allowed(self, levels: FloatArray) -> BoolArray:
        """bool[N]: columns that can be taken; no more at higher levels."""

    def seconds(self, levels: FloatArray) -> FloatArray:
        """float64[N], >= 0: of a step; they rise with the levels."""

    def within(self, seconds: float) -> Self:
        """Without columns that take longer, at whatever levels."""

    def take(self, columns: IntArray) -> Self:
        """Only the given columns (sorted)."""

    def settle(self, x: IntArray) -> FloatArray:
        """The least levels at which x keeps the queues' rows."""

    def highest(self) -> FloatArray:
        """Levels that no choice exceeds."""


def begun_rows(family: Family, problem: Problem, low: FloatArray) -> Problem:
    """With a row more for each queue: choices that need at least its level in `low`."""
    share = family.at(low).weights[len(problem.caps) - len(low) :]
    begun = (low > 0).astype(float)
    return replace(
        problem,
        weights=np.concatenate([problem.weights, -share * begun[:, None]]),
        caps=np.concatenate([problem.caps, -begun]),
        rows=(*problem.rows, *(f"begun_{k}" for k in range(len(low)))),
    )


@dataclass(frozen=True, eq=False)
class Part:
    """A family with some of its columns, all where `columns` is None."""

    family: Family
    columns: IntArray | None
    total: int

    @staticmethod
    def within(family: Family, levels: FloatArray) -> Part | None:
        """The columns that can be taken at the levels, None where a group has none."""
        total = family.problem.columns
        allowed = family.allowed(levels)
        if allowed.all():
            return Part(family, None, total)
        if not np.logical_or.reduceat(allowed, family.problem.offsets[:-1]).all():
            return None
        columns = np.flatnonzero(allowed)
        return Part(family.take(columns), columns, total)

    def widen(self, counts: IntArray | None) -> IntArray | None:
        if counts is None or self.columns is None:
            return counts
        full = np.zeros(self.total, dtype=np.int64)
        full[self.columns] = counts
        return full

    def narrow(self, counts: IntArray) -> IntArray:
        return counts if self.columns is None else counts[self.columns]
