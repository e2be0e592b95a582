"""The goal of the search for the least Σ cost · x where all values lie on a grid.

Of rows that prices add up to one, and of each row alone, a ladder (planner/solver/ladder.py) says
how little the choices of a value ask at a corner of a box. Where that is too much for every value
below a target, the box has none that is better, whatever an integer program of all rows would
branch on: clients that differ by whole blocks of one size have countless choices of about the same
value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .any_choice import impossible
from .boxes import Box
from .cornered import Cornered
from .goal import Asked, Goal, Sum
from .grid import Grid, grid
from .outlook import Outlook
from .program import Program
from .queues import DUAL_TOLERANCE, Kept, kept
from .solver.clock import Clock
from .solver.ladder import Ladder, effort
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import FloatArray, IntArray, Problem
from .solver.whole_units import lower_caps
from .solver.within import Ceiling, with_ceilings

EFFORT = 20_000_000
"""Additions that a ladder may take."""
ROUNDING = 1e-9
"""Of what rows allow: what asks that much more counts as allowed."""
TIE = 1e-6
"""Of what all rows are paid: what every other one is, next to one alone."""
WORSE = 0.02
"""Of a choice's own units: how much more the ones near it may cost."""

Asking = tuple[FloatArray, FloatArray]
"""What columns ask of all rows together at each corner of a box, float64[J, n], and what is allowed
there, float64[J]."""


class OnGrid(Sum):
    def __init__(self, objective: int, clock: Clock, on: Grid) -> None:
        super().__init__(objective, clock)
        self.grid: Grid = on

    def near(self, program: Program, x: IntArray, level: FloatArray) -> IntArray | None:
        """The first that keeps all rows, of those on a ladder."""
        problem, in_time = self.nearby(program, x, level), program.in_time(level)
        found = kept(problem, in_time)
        if found is None:
            return None
        units = self.grid.units(program, self.objective)
        near = self._on_ladder(found, units[found.columns], int(units @ x))
        return self.in_nearby(problem, in_time, x) if near is None else near

    def _on_ladder(self, found: Kept, units: IntArray, known: int) -> IntArray | None:
        problem, most = found.problem, int(known * (1 + WORSE)) + 1
        if effort(problem, most) > EFFORT:
            return None
        first, ladders = climbed(problem, units, most, self._asked(problem))
        for value in range(first, most + 1):
            for ladder in ladders:
                x = ladder.choice(value)
                if problem.feasible(x):
                    return found.full(x)
        return None

    def everywhere(self, program: Program, target: float) -> float:
        """From C4 alone, or one combination of rows."""
        cost, most = program.fixed[self.objective], self.grid.within(target)
        cheap = with_ceilings(program.static, [Ceiling("value", cost, target)])
        if impossible(replace(program, static=lower_caps(cheap)), self.clock):
            return target
        problem = replace(program.static, cost=cost)
        if effort(problem, most) > EFFORT:
            return -math.inf
        units = self.grid.units(program, self.objective)
        first, _ = climbed(problem, units, most, self._asked(problem))
        return self.grid.at(first) if first <= most else target

    def _asked(self, problem: Problem) -> list[Asking]:
        """Of a problem that is the same everywhere."""
        prices = maximise(Lagrangian(problem), DUAL_TOLERANCE, self.clock).best.multipliers
        each = _with_alone(prices, problem.caps)
        return [((one @ problem.weights)[None], (one @ problem.limits)[None]) for one in each]

    def better(self, box: Box, outlook: Outlook, asked: Asked) -> tuple[IntArray | None, float]:
        if not asked.without:
            x, bound = self._least(box, outlook, asked.target)
            if x is not None or bound >= asked.target:
                return x, bound
        return super().better(box, outlook, asked)

    def _least(self, box: Box, outlook: Outlook, target: float) -> tuple[IntArray | None, float]:
        """A choice of the least value that rows allow somewhere in a box, and a bound on all of the
        box's choices."""
        lagrangian, at, most = outlook.lagrangian, outlook.at, self.grid.within(target)
        assert isinstance(lagrangian, Cornered)
        useful = np.flatnonzero(outlook.alone <= outlook.room(target))
        columns, problem = outlook.columns[useful], lagrangian.problem.keep(useful)
        if effort(problem, most) > EFFORT:
            return None, outlook.bound
        units = self.grid.units(box.fast, self.objective)[columns]
        prices, *alone = _with_alone(at.multipliers, lagrangian.problem.caps)
        asked = [lagrangian.asked(prices, lagrangian.open(at, target))]
        asked += [lagrangian.asked(one) for one in alone]
        some = [(loads[:, useful], caps) for loads, caps in asked]
        first, ladders = climbed(problem, units, most, some)
        if first > most:
            return None, target
        x = np.zeros(len(box.fast.apart), dtype=np.int64)
        x[columns] = ladders[-1].choice(first)
        return x, max(outlook.bound, self.grid.at(first))


def climbed(
    problem: Problem, units: IntArray, most: int, asked: Sequence[Asking]
) -> tuple[int, list[Ladder]]:
    """The least value that rows allow, one more than `most` if that is more, and ladders of what is
    asked, the last one of a choice of that value. A place between corners is allowed no more than
    at one of them by the same prices; different prices say nothing of a place together."""
    first, ladders = 0, list[Ladder]()
    for loads, caps in asked:
        there, lowest = most + 1, None
        for load, cap in zip(loads, caps.tolist(), strict=True):
            ladder = Ladder(problem, units, load, most)
            enough = ladder.first(cap + ROUNDING * abs(cap))
            if lowest is None or enough < there:
                there, lowest = enough, ladder
            if ladders and there < first:
                break
        if lowest is not None:
            ladders.insert(len(ladders) if there >= first else 0, lowest)
        first = max(first, there)
        if first > most:
            break
    return first, ladders


def _with_alone(prices: FloatArray, caps: FloatArray) -> list[FloatArray]:
    """Prices of rows, float64[R], then those of each row alone, all others next to nothing: what
    is the same in one row may differ in these."""
    paid = prices * caps
    others = np.divide(TIE * paid.sum(), caps, out=np.zeros_like(caps), where=caps > 0)
    alone = [
        np.where(np.arange(len(prices)) == row, prices, others) for row in np.flatnonzero(paid > 0)
    ]
    return [prices, *alone]


def sum_goal(program: Program, objective: int, clock: Clock) -> Goal:
    """The least Σ cost · x of an objective."""
    on = grid(program, objective)
    return Sum(objective, clock) if on is None else OnGrid(objective, clock, on)
