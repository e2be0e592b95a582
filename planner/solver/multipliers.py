"""The prices of the shared rows: L(λ) maximised by cutting planes in a trust region.

Each evaluation of L gives a plane above it. The next λ is the top of all planes within a box
around the best λ so far (Marsten, Hogan and Blankenship, "The BOXSTEP method for large-scale
optimization", Operations Research 23, 1975); the box grows where it is in the way and shrinks where
the planes promised too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .clock import Clock
from .lagrangian import Evaluation, Lagrangian
from .linear_program import LinearProgram, linear_program
from .problem import FloatArray, Problem

MAX_EVALUATIONS = 120
LARGEST_COEFFICIENT = 1e8
SMALLEST_UNIT = 1e-6
"""Of the largest cost."""
SAMPLED_GROUPS = 2000
SAMPLE_FROM_GROUPS = 4 * SAMPLED_GROUPS
SAMPLE_RADIUS = 0.1
"""The first box around the prices of a sample, as a share of the largest of them."""


@dataclass(frozen=True, eq=False)
class Dual:
    best: Evaluation
    picks: tuple[Evaluation, ...]
    """The last evaluations; their choices are close to the optimum."""
    infeasible: bool
    """Whether L exceeds what any choice could cost, so that no choice keeps the rows."""
    evaluations: int


class Priced(Protocol):
    """L of a problem, or of one with the same rows and more columns."""

    @property
    def problem(self) -> Problem: ...

    def __call__(self, multipliers: FloatArray, deadline: float = ..., /) -> Evaluation: ...


def maximise(
    lagrangian: Priced,
    tolerance: float,
    clock: Clock,
    known: float = math.inf,
    start: FloatArray | None = None,
    enough: float = math.inf,
) -> Dual:
    """The best λ, to within `tolerance` of its bound (relative) unless the time ends first.

    `known` is the cost of a solution, where there is one: the bound can't pass it. `start` are
    prices that may be about the best; without them, a large problem is first solved on a sample of
    its groups. A bound of `enough` is not raised any further.
    """
    problem = lagrangian.problem
    if start is None and problem.groups >= SAMPLE_FROM_GROUPS:
        sample = maximise(Lagrangian(_sample(problem)), tolerance, clock)
        if not sample.infeasible:
            start = sample.best.multipliers
    return _boxstep(lagrangian, tolerance, clock, start, known, enough)


def _sample(problem: Problem) -> Problem:
    """Every k-th group, with the caps shared out by members."""
    return problem.part(np.arange(0, problem.groups, problem.groups // SAMPLED_GROUPS))[0]


def _boxstep(
    lagrangian: Priced,
    tolerance: float,
    clock: Clock,
    start: FloatArray | None,
    known: float,
    enough: float,
) -> Dual:
    problem = lagrangian.problem
    units, most = _price_units(problem), most_cost(problem)
    evaluations = [lagrangian(np.zeros(len(problem.caps)))]
    if (evaluations[0].excess <= 0).all():
        return Dual(evaluations[0], tuple(evaluations), False, 1)
    radius = 1.0
    if start is not None and start.any():
        evaluations.append(lagrangian(start))
        radius = SAMPLE_RADIUS * float((start / units).max())
    best = max(evaluations, key=lambda e: e.bound)
    with linear_program(np.eye(1, 1 + len(units))[0]) as program:
        planes = _Planes(program, units, _cost_unit(problem) * problem.members, best.bound)
        for evaluation in evaluations:
            planes.add(evaluation)
        while len(evaluations) < MAX_EVALUATIONS and not clock.over():
            if best.bound > most:
                return Dual(best, (best,), True, len(evaluations))
            if best.bound >= enough:
                break
            if math.isfinite(known) and known - best.bound <= tolerance * abs(known):
                break
            above = planes.top(best.multipliers, radius)
            if above is None:
                break
            point, top, blocked = above
            promised = top - best.bound
            if promised <= tolerance * abs(best.bound):
                if not blocked:
                    break
                radius *= 8
                continue
            tried = lagrangian(point)
            evaluations.append(tried)
            planes.add(tried)
            gained = tried.bound - best.bound
            if gained > 0:
                best = tried
            if gained >= promised / 2 and blocked:
                radius *= 4
            elif gained < promised / 10:
                radius /= 2
    return Dual(best, tuple(evaluations[-4:]), False, len(evaluations))


def _cost_unit(problem: Problem) -> float:
    """A typical cost of a member: the mean over the groups of their cheapest columns."""
    cheapest = np.minimum.reduceat(problem.cost, problem.offsets[:-1])
    mean, most = float(np.abs(cheapest).mean()), float(np.abs(problem.cost).max())
    return max(mean, SMALLEST_UNIT * most) or 1.0


def _price_units(problem: Problem) -> FloatArray:
    """float64[R]: the λ at which a member's equal share of a row costs as much as the member."""
    return _cost_unit(problem) / problem.row_units


def most_cost(problem: Problem) -> float:
    """No choice costs more: everyone at the dearest column, rounding allowed for."""
    dearest = np.maximum.reduceat(problem.cost, problem.offsets[:-1])
    most = math.fsum((dearest * problem.counts).tolist())
    return most + 1e-9 * abs(most)


@dataclass(frozen=True, eq=False)
class _Planes:
    """Those above L, in a program of a height and of λ, in `units`; heights are in `scale`s above
    `base`."""

    program: LinearProgram
    units: FloatArray
    scale: float
    base: float

    def add(self, evaluation: Evaluation) -> None:
        slopes = evaluation.excess * self.units / self.scale
        height = (evaluation.bound - self.base) / self.scale
        most = height - float(slopes @ (evaluation.multipliers / self.units))
        self.program.add(np.append(1.0, -_moderate(slopes)), -np.inf, float(_moderate(most)))

    def top(self, best: FloatArray, radius: float) -> tuple[FloatArray, float, bool] | None:
        """The highest point under all planes within the box around the λ `best`: λ, its height, and
        whether the box stops it from going on; None where the numbers are too far apart for the
        solver."""
        centre = best / self.units
        low, high = np.maximum(centre - radius, 0.0), centre + radius
        self.program.bound(np.append(-np.inf, low), np.append(np.inf, high))
        found = self.program.solve()
        if found is None:
            return None
        point = np.clip(found[1:], 0.0, None)
        stopped = np.abs(point - centre) > radius * (1 - 1e-6)
        blocked = bool((stopped & ((point > 0) | (centre > radius))).any())
        return point * self.units, self.base + float(found[0]) * self.scale, blocked


def _moderate(numbers: FloatArray | float) -> FloatArray:
    """Kept to what a solver can work with; planes only guide the search, so this is safe."""
    return np.clip(numbers, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)


def infeasibility(
    lagrangian: Priced,
    clock: Clock,
    deadline: float = math.inf,
    start: FloatArray | None = None,
) -> tuple[Evaluation, bool | None]:
    """Whether one combination of the rows proves that no choice keeps them.

    `lagrangian` is without costs. Returns the best combination and True (proven infeasible), False
    (some mixture of choices keeps all rows: the linear relaxation is feasible) or None (not known).
    """
    units = 1 / (lagrangian.problem.row_units * lagrangian.problem.members)
    rows = len(units)
    point = np.full(rows, 1 / max(rows, 1)) * units if start is None else start
    best: Evaluation | None = None
    with linear_program(np.eye(1, 1 + rows)[0]) as program:
        program.bound(np.append(-np.inf, np.zeros(rows)), np.full(1 + rows, np.inf))
        program.add(np.append(0.0, np.ones(rows)), 1.0, 1.0)
        for _ in range(MAX_EVALUATIONS):
            tried = lagrangian(point, deadline)
            if best is None or tried.bound > best.bound:
                best = tried
            if best.bound > 0:
                return best, True
            if (tried.excess <= 0).all():
                return tried, False
            program.add(np.append(1.0, -_moderate(tried.excess * units)), -np.inf, 0.0)
            found = program.solve()
            if found is None:
                break
            combination = np.clip(found[1:], 0.0, None)
            point, top = combination / combination.sum() * units, float(found[0])
            if top <= 0:
                return best, False
            if top - best.bound <= 1e-12 or clock.over():
                break
    assert best is not None
    return best, None
