"""Objectives whose values lie on a grid: no choice has a value between two of its lines.

Where waiting costs nothing, a member's cost is one of few numbers, such as what a depth is worth.
Often all of them are the least of its group and a multiple of one unit u. Then so is every value,

    value = Σ_g n_g · least[g] + k · u        with a whole k >= 0,

up to what the numbers themselves stray from that. A choice that is better at all is better by u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .program import Program
from .solver.lagrangian import EPSILON
from .solver.problem import FloatArray, IntArray

ROUNDING = 1e-9
"""Of the largest number: what it may be off."""
SMALLEST = 1e-5
"""Of the largest number: a smaller unit says nothing."""
STRAY = 0.01
"""Of the unit: by how much a value may be off its line."""


@dataclass(frozen=True, eq=False)
class Grid:
    cheapest: FloatArray
    """float64[G]: what a member of each group costs at the least."""
    least: float
    """No choice has a lower value."""
    unit: float
    stray: float

    @property
    def apart(self) -> float:
        """Values are further apart than this, or within `stray` of each other."""
        return self.unit - 2 * self.stray

    def units(self, program: Program, objective: int) -> IntArray:
        """int64[N]: by how many units each column costs more than the cheapest of its group."""
        above = program.fixed[objective] - program.static.spread(self.cheapest)
        return np.rint(above / self.unit).astype(np.int64)

    def within(self, target: float) -> int:
        """The most units of a choice that costs less than the target."""
        return max(math.ceil((target - self.least + self.stray) / self.unit) - 1, -1)

    def at(self, units: int) -> float:
        """No choice of so many units costs less."""
        return self.least + units * self.unit - self.stray

    def below(self, value: float) -> float:
        """What a choice that is better than one of this value costs less than."""
        return value - self.apart

    def bound(self, value: float) -> float:
        """What every choice costs where none is better than one of this value."""
        return max(value - self.stray, self.least)


def grid(program: Program, objective: int) -> Grid | None:
    """That of an objective; None where it has none."""
    static, cost = program.static, program.fixed[objective]
    if program.per_second[objective].any():
        return None
    least = np.minimum.reduceat(cost, static.offsets[:-1])
    above = cost - static.spread(least)
    unit = common_unit(above)
    if unit == 0:
        return None
    off = float(np.abs(above - unit * np.round(above / unit)).max())
    stray = 2 * static.members * (off + 4 * EPSILON * float(np.abs(cost).max()))
    if stray > STRAY * unit:
        return None
    return Grid(least, math.fsum((least * static.counts).tolist()), unit, stray)


def common_unit(numbers: FloatArray) -> float:
    """The largest number of which float64[n] >= 0 are multiples, up to rounding; 0 where there is
    none of a size that says anything. By Euclid's algorithm."""
    largest = float(numbers.max())
    unit, rest = largest, np.unique(numbers)
    while unit > SMALLEST * largest:
        rest = np.abs(rest - unit * np.round(rest / unit))
        rest = rest[rest > ROUNDING * largest]
        if len(rest) == 0:
            whole = np.round(numbers / unit)
            return float(numbers.sum() / whole.sum())
        unit, rest = float(rest.min()), np.unique(np.append(rest, unit))
    return 0.0
