"""The prices of the shared rows: L(λ) maximised by cutting planes in a trust region.

Each evaluation of L gives a plane above it. The next λ is the top of all planes within a box
around the best λ so far (Marsten, Hogan and Blankenship, "The BOXSTEP method for large-scale
optimization", Operations Research 23, 1975); the box grows where it is in the way and shrinks where
the planes promised too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from .clock import Clock
from .highs import LinearProgram
from .lagrangian import Evaluation, Lagrangian
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
    units = _price_units(problem)
    scale = _cost_unit(problem) * problem.members
    most = most_cost(problem)
    first = lagrangian(np.zeros(len(problem.caps)))
    evaluations = [first]
    radius = 1.0
    if start is not None and start.any():
        evaluations.append(lagrangian(start))
        radius = SAMPLE_RADIUS * float((start / units).max())
    best = max(evaluations, key=lambda e: e.bound)
    if (first.excess <= 0).all():
        return Dual(first, (first,), False, 1)
    while len(evaluations) < MAX_EVALUATIONS and not clock.over():
        if best.bound > most:
            return Dual(best, (best,), True, len(evaluations))
        if best.bound >= enough:
            break
        if math.isfinite(known) and known - best.bound <= tolerance * abs(known):
            break
        above = _top(evaluations, best, units, scale, radius)
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


def _top(
    evaluations: Sequence[Evaluation],
    best: Evaluation,
    units: FloatArray,
    scale: float,
    radius: float,
) -> tuple[FloatArray, float, bool] | None:
    """The highest point under all planes within the box: λ, its height, and whether the box stops
    it from going on; None where the numbers are too far apart for the solver."""
    rows = len(units)
    centre = best.multipliers / units
    low, high = np.maximum(centre - radius, 0.0), centre + radius
    slopes = np.array([e.excess * units / scale for e in evaluations])
    at = np.array([e.multipliers / units for e in evaluations])
    heights = np.array([(e.bound - best.bound) / scale for e in evaluations])
    found = _lp().maximise(
        np.eye(1, 1 + rows)[0],
        np.append(-np.inf, low),
        np.append(np.inf, high),
        np.column_stack([np.ones(len(slopes)), -_moderate(slopes)]),
        _moderate(heights - (slopes * at).sum(axis=1)),
    )
    if found is None:
        return None
    height, point = float(found[0]), np.clip(found[1:], 0.0, None)
    blocked = bool(
        ((np.abs(point - centre) > radius * (1 - 1e-6)) & ((point > 0) | (centre > radius))).any()
    )
    return point * units, best.bound + height * scale, blocked


def _moderate(numbers: FloatArray) -> FloatArray:
    """Kept to what a solver can work with; planes only guide the search, so this is safe."""
    return np.clip(numbers, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)


@cache
def _lp() -> LinearProgram:
    return LinearProgram()


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
    evaluations: list[Evaluation] = []
    best: Evaluation | None = None
    while len(evaluations) < MAX_EVALUATIONS:
        tried = lagrangian(point, deadline)
        evaluations.append(tried)
        if best is None or tried.bound > best.bound:
            best = tried
        if best.bound > 0:
            return best, True
        if (tried.excess <= 0).all():
            return tried, False
        combination = _best_combination(evaluations, units)
        if combination is None:
            break
        point, top = combination
        if top <= 0:
            return best, False
        if top - best.bound <= 1e-12 or clock.over():
            break
    assert best is not None
    return best, None


def _best_combination(
    evaluations: Sequence[Evaluation], units: FloatArray
) -> tuple[FloatArray, float] | None:
    """The combination (shares that sum to 1) that all choices so far exceed the most; None where
    the numbers are too far apart for the solver."""
    rows = len(units)
    excess = _moderate(np.array([e.excess * units for e in evaluations]))
    all_shares = np.append(0.0, np.ones(rows))
    found = _lp().maximise(
        np.eye(1, 1 + rows)[0],
        np.append(-np.inf, np.zeros(rows)),
        np.full(1 + rows, np.inf),
        np.vstack([np.column_stack([np.ones(len(excess)), -excess]), all_shares, -all_shares]),
        np.array([*np.zeros(len(excess)), 1.0, -1.0]),
    )
    if found is None:
        return None
    point: FloatArray = np.clip(found[1:], 0.0, None)
    return point / point.sum() * units, float(found[0])
