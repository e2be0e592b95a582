"""A core as an integer program in PuLP, solved by HiGHS.

It is imported where there is a core to solve: PuLP takes long to import, and many need none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pulp

from .clock import Clock
from .highs import StoppableHiGHS, solution_of
from .problem import FloatArray, IntArray, Product

if TYPE_CHECKING:
    from .core import Core

PLAIN = {"mip_heuristic_run_rins": False, "mip_heuristic_run_rens": False}
"""Of HiGHS, which would search for better starts than those that it gets."""
QUICK = {
    "mip_allow_restart": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_allow_cut_separation_at_nodes": False,
}
"""Of HiGHS, for small programs with a good start: without what takes half of its time there."""
LARGEST_INTEGER = 1e6
"""Rows of whole numbers up to this stay whole numbers in the model."""


class Solved(NamedTuple):
    counts: IntArray | None
    """int64 of the core's columns; None where none are found."""
    bound: float
    """On the costs that the program was given; inf where it has no solution, -inf where nothing is
    known."""
    ended: bool
    """Whether the search ended before its limits."""


def solve_model(
    core: Core, cost: FloatArray, gap: float, clock: Clock, nodes: int | None, below: float
) -> Solved:
    """To a gap in units of `cost`, float64 of the core's columns. Solutions that cost `below` or
    more are as good as none."""
    model, variables = integer_program(core, cost)
    known = core.search.counts
    start = None if known is None else known[core.columns].tolist()
    limits: dict[str, float] = {**PLAIN} if nodes is None else {**PLAIN, "mip_max_nodes": nodes}
    if math.isfinite(below):
        limits |= {"objective_bound": below, **QUICK}
    solver = StoppableHiGHS(clock, start, gapRel=0.0, gapAbs=gap, **limits)
    model.solve(solver)
    if model.sol_status == pulp.LpSolutionInfeasible:
        return Solved(None, math.inf, True)
    bound = model.solverModel.getInfo().mip_dual_bound
    ended = model.sol_status == pulp.LpSolutionOptimal
    return Solved(
        solution_of(model, variables), bound if math.isfinite(bound) else -math.inf, ended
    )


def integer_program(core: Core, cost: FloatArray) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    """Variables are named so that PuLP, which sorts them by name, leaves them in their order."""
    model = pulp.LpProblem("core", pulp.LpMinimize)
    whole, digits = core.problem.whole[core.columns], len(str(core.problem.columns))
    variables = [
        model.add_variable(
            f"x_{o:0{digits}}", 0, int(most), pulp.LpInteger if integer else pulp.LpContinuous
        )
        for o, most, integer in zip(core.columns.tolist(), core.most, whole, strict=True)
    ]
    model += pulp.LpAffineExpression(zip(variables, cost.tolist(), strict=True))
    for start, size, count in zip(core.starts, core.sizes, core.counts, strict=True):
        everyone = pulp.LpAffineExpression((x, 1) for x in variables[start : start + size])
        model += everyone == int(count)
    for r, name in enumerate(core.problem.rows):
        weights, cap = _row(core, r)
        if weights is not None:
            used = np.flatnonzero(weights)
            load = pulp.LpAffineExpression((variables[o], float(weights[o])) for o in used)
            model += (load <= cap, name)
    for product in core.problem.products:
        _multiply(core, model, variables, product)
    for x in core.problem.without:
        _leave_out(core, model, variables, x)
    return model, variables


def _multiply(
    core: Core, model: pulp.LpProblem, variables: list[pulp.LpVariable], product: Product
) -> None:
    """A product of a share and whole numbers by its envelopes, which hold it where one member
    or all are meant (McCormick, Mathematical Programming 10, 1976)."""
    place, part = (
        variables[i] for i in np.searchsorted(core.columns, [product.place, product.part])
    )
    here = np.flatnonzero(np.isin(core.columns, product.columns))
    fixed, most = int(core.fixed[product.columns].sum()), part.upBound
    members = pulp.LpAffineExpression(((variables[i], 1) for i in here), constant=fixed)
    model += part <= members
    model += part <= most * place
    model += part >= members + most * place - most


def _leave_out(
    core: Core, model: pulp.LpProblem, variables: list[pulp.LpVariable], x: IntArray
) -> None:
    """Not all members of the open groups may be where they are in x, if they can be."""
    whole = core.problem.whole
    elsewhere = (core.fixed != x) & whole
    elsewhere[core.columns] = False
    taken = np.flatnonzero((x[core.columns] > 0) & whole[core.columns])
    open_groups = int(whole[core.columns[core.starts]].sum())
    if not elsewhere.any() and len(taken) == open_groups:
        members = int(x[core.columns[taken]].sum())
        model += pulp.LpAffineExpression((variables[i], 1) for i in taken) <= members - 1


def _row(core: Core, r: int) -> tuple[FloatArray | None, float]:
    """A row's weights and cap, each group's least weight taken from both; None where no choice
    can exceed it. Whole numbers are divided by their common divisor, others by the largest."""
    weights = core.problem.weights[r, core.columns]
    lightest = np.minimum.reduceat(weights, core.starts)
    fixed = np.flatnonzero(core.fixed)
    settled = core.problem.weights[r, fixed] * core.fixed[fixed]
    needed = math.fsum([*settled.tolist(), *(lightest * core.counts).tolist()])
    cap = float(core.problem.limits[r]) - needed
    weights = weights - np.repeat(lightest, core.sizes)
    heaviest = np.maximum.reduceat(weights, core.starts)
    if math.fsum((heaviest * core.counts).tolist()) <= cap:
        return None, 0.0
    largest = float(weights.max())
    if largest == 0.0:
        return np.zeros_like(weights), cap
    if largest < 2**53 and (weights == np.floor(weights)).all():
        divisor = int(np.gcd.reduce(weights.astype(np.int64)))
        weights, cap = weights / divisor, math.floor(cap / divisor)
        largest = float(weights.max())
        if largest <= LARGEST_INTEGER:
            return weights, cap
    return weights / largest, cap / largest
