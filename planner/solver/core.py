"""The gap closed by an integer program over the few columns that can still matter.

Let L be a proven bound with reduced costs r >= 0, and U the cost of a solution. A solution with t
members on column o costs at least L + t · r[o]. So a better one than U has no member on a column
with r[o] > U − L, and at most (U − L) / r[o] of them on any other. If the core leaves out columns
with r[o] >= θ, a solution outside of it costs at least L + θ, and the optimum is at least
min(bound of the core, L + θ).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pulp

from .clock import Clock
from .highs import StoppableHiGHS, solution_of
from .lagrangian import Evaluation
from .problem import FloatArray, IntArray, Problem, Product
from .rounding import least

PROVEN_GAP = 1e-4
"""A solution within this of its bound counts as optimal."""
POLISH_EFFORT = 20_000
"""Branching nodes times columns that a core may take once the solution counts as optimal: it is
bettered as far as that is cheap, by a measure that is the same on every machine."""
FIRST_EXTRA = 150
"""Columns of the first core beyond one for each group."""
GROWTH = 6
PLAIN = {"mip_heuristic_run_rins": False, "mip_heuristic_run_rens": False}
"""Of HiGHS, which would search for better starts than those that it gets."""
QUICK = {
    "mip_allow_restart": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_allow_cut_separation_at_nodes": False,
}
"""Of HiGHS, for small programs with a good start: without what takes half of its time there."""
ROUNDING = 1e-14
"""Of the largest total that could occur."""
LARGEST_INTEGER = 1e6
"""Rows of whole numbers up to this stay whole numbers in the model."""


@dataclass(eq=False)
class Search:
    """What is known so far; it only ever gets better."""

    problem: Problem
    bound: float
    counts: IntArray | None = None
    value: float = math.inf
    on_change: Callable[[Search], None] | None = None
    rounding: float = field(init=False)

    def __post_init__(self) -> None:
        self.rounding = ROUNDING * self.problem.members * float(np.abs(self.problem.cost).max())

    def offer(self, counts: IntArray | None) -> None:
        """A solution, taken if it keeps all rows and costs less."""
        if counts is None or not self.problem.feasible(counts):
            return
        value = self.problem.value(counts)
        if value < self.value:
            self.counts, self.value = counts, value
            self.raise_bound(self.bound)
            self._changed()

    def raise_bound(self, bound: float) -> None:
        """A bound that rounding alone keeps apart from the value is the value."""
        if bound >= self.value - self.rounding:
            bound = self.value
        if bound > self.bound:
            self.bound = bound
            self._changed()

    def closed(self, gap: float) -> bool:
        return self.counts is not None and self.value - self.bound <= gap * abs(self.value)

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change(self)


def close_gap(
    search: Search, at: Evaluation, reduced: FloatArray, gap: float, clock: Clock
) -> bool | None:
    """Solve growing cores until the gap is closed or the time is over.

    `at` is the evaluation with the best bound, `reduced` are its reduced costs. Returns whether a
    solution exists: True, False (HiGHS proved over all columns that none does) or None (not known).
    """
    problem = search.problem
    extra = FIRST_EXTRA
    while not search.closed(gap) and not clock.over():
        room = max(search.value - at.bound, 0.0)
        columns = least(reduced, problem.groups + extra)
        complete = len(columns) == problem.columns
        outside = math.inf if complete else at.bound + float(reduced[columns].max())
        if outside >= search.value:
            outside = math.inf
            columns = np.flatnonzero(reduced <= room)
        wanted = np.zeros(problem.columns, dtype=bool)
        wanted[columns] = wanted[at.chosen] = True
        if search.counts is not None:
            wanted |= search.counts > 0
        columns = np.flatnonzero(wanted)
        complete |= len(columns) == problem.columns
        polishing = search.closed(PROVEN_GAP)
        core = Core(search, columns, reduced, room)
        goal = gap if polishing else max(gap, PROVEN_GAP / 2)
        found, bound, ended = core.solve(
            goal, clock, POLISH_EFFORT // len(columns) if polishing else None
        )
        search.offer(found)
        if bound is not None:
            search.raise_bound(min(bound, outside))
        if bound == math.inf and complete and search.counts is None:
            return False
        if polishing and (not ended or outside == math.inf):
            break
        extra *= GROWTH
    return _exists(search)


def _exists(search: Search) -> bool | None:
    return None if search.counts is None else True


class Core:
    """The program of some columns: groups with one column are settled, rows are shifted by each
    group's lightest column and scaled."""

    def __init__(self, search: Search, columns: IntArray, reduced: FloatArray, room: float) -> None:
        problem = search.problem
        offsets = np.searchsorted(columns, problem.offsets)
        sizes = np.diff(offsets)
        open_groups = np.flatnonzero(sizes > 1)
        settled = columns[offsets[:-1][sizes == 1]]
        self.problem, self.search = problem, search
        self.fixed = np.zeros(problem.columns, dtype=np.int64)
        self.fixed[settled] = problem.counts[sizes == 1]
        self.columns = columns[np.repeat(sizes > 1, sizes)]
        self.counts = problem.counts[open_groups]
        self.sizes = sizes[open_groups]
        self.starts = np.cumsum(self.sizes) - self.sizes
        most = np.repeat(self.counts, self.sizes)
        if math.isfinite(room):
            price = reduced[self.columns]
            most = np.where(
                (price * most > room) & problem.whole[self.columns],
                np.floor(room / np.where(price > 0, price, 1) + 1e-9),
                most,
            ).astype(np.int64)
            if search.counts is not None:
                most = np.maximum(most, search.counts[self.columns])
        self.most = most

    def solve(
        self, gap: float, clock: Clock, nodes: int | None = None, below: float = math.inf
    ) -> tuple[IntArray | None, float | None, bool]:
        """Counts of all columns, a bound on this core's optimum (inf where it has no solution,
        None where nothing is known), and whether the search ended before its limits. Solutions that
        cost `below` or more are as good as none."""
        problem = self.problem
        if len(self.columns) == 0:
            kept = problem.feasible(self.fixed)
            return (self.fixed, problem.value(self.fixed), True) if kept else (None, math.inf, True)
        cost = problem.cost[self.columns]
        cheapest = np.minimum.reduceat(cost, self.starts)
        extra_cost = cost - np.repeat(cheapest, self.sizes)
        base = problem.value(self.fixed) + math.fsum((cheapest * self.counts).tolist())
        unit = float(extra_cost.max()) or 1.0
        model, variables = self.model(extra_cost / unit)
        goal = abs(self.search.value if math.isfinite(self.search.value) else self.search.bound)
        start = None if self.search.counts is None else self.search.counts[self.columns].tolist()
        limits: dict[str, float] = {**PLAIN} if nodes is None else {**PLAIN, "mip_max_nodes": nodes}
        if math.isfinite(below):
            limits |= {"objective_bound": (below - base) / unit, **QUICK}
        solver = StoppableHiGHS(
            clock, start, gapRel=0.0, gapAbs=max(0.9 * gap * goal / unit, 1e-9), **limits
        )
        model.solve(solver)
        if model.sol_status == pulp.LpSolutionInfeasible:
            return None, math.inf, True
        bound = model.solverModel.getInfo().mip_dual_bound
        proven = base + (bound - 1e-9) * unit if math.isfinite(bound) else None
        ended = model.sol_status == pulp.LpSolutionOptimal
        found = solution_of(model, variables)
        if found is None:
            return None, proven, False
        counts = self.fixed.copy()
        counts[self.columns] = found
        return counts, proven, ended

    def model(self, cost: FloatArray) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
        model = pulp.LpProblem("core", pulp.LpMinimize)
        whole = self.problem.whole[self.columns]
        variables = [
            model.add_variable(
                f"x_{o}", 0, int(most), pulp.LpInteger if integer else pulp.LpContinuous
            )
            for o, most, integer in zip(self.columns.tolist(), self.most, whole, strict=True)
        ]
        model += pulp.LpAffineExpression(zip(variables, cost.tolist(), strict=True))
        for start, size, count in zip(self.starts, self.sizes, self.counts, strict=True):
            everyone = pulp.LpAffineExpression((x, 1) for x in variables[start : start + size])
            model += everyone == int(count)
        for r, name in enumerate(self.problem.rows):
            weights, cap = self._row(r)
            if weights is not None:
                used = np.flatnonzero(weights)
                load = pulp.LpAffineExpression((variables[o], float(weights[o])) for o in used)
                model += (load <= cap, name)
        for product in self.problem.products:
            self._multiply(model, variables, product)
        for x in self.problem.without:
            self._leave_out(model, variables, x)
        return model, variables

    def _multiply(
        self, model: pulp.LpProblem, variables: list[pulp.LpVariable], product: Product
    ) -> None:
        """A product of a share and whole numbers by its envelopes, which hold it where one member
        or all are meant (McCormick, Mathematical Programming 10, 1976)."""
        place, part = (
            variables[i] for i in np.searchsorted(self.columns, [product.place, product.part])
        )
        here = np.flatnonzero(np.isin(self.columns, product.columns))
        fixed, most = int(self.fixed[product.columns].sum()), part.upBound
        members = pulp.LpAffineExpression(((variables[i], 1) for i in here), constant=fixed)
        model += part <= members
        model += part <= most * place
        model += part >= members + most * place - most

    def _leave_out(
        self, model: pulp.LpProblem, variables: list[pulp.LpVariable], x: IntArray
    ) -> None:
        """Not all members of the open groups may be where they are in x, if they can be."""
        whole = self.problem.whole
        elsewhere = (self.fixed != x) & whole
        elsewhere[self.columns] = False
        taken = np.flatnonzero((x[self.columns] > 0) & whole[self.columns])
        open_groups = int(whole[self.columns[self.starts]].sum())
        if not elsewhere.any() and len(taken) == open_groups:
            members = int(x[self.columns[taken]].sum())
            model += pulp.LpAffineExpression((variables[i], 1) for i in taken) <= members - 1

    def _row(self, r: int) -> tuple[FloatArray | None, float]:
        """A row's weights and cap, each group's least weight taken from both; None where no choice
        can exceed it. Whole numbers are divided by their common divisor, others by the largest."""
        weights = self.problem.weights[r, self.columns]
        lightest = np.minimum.reduceat(weights, self.starts)
        fixed = np.flatnonzero(self.fixed)
        settled = self.problem.weights[r, fixed] * self.fixed[fixed]
        needed = math.fsum([*settled.tolist(), *(lightest * self.counts).tolist()])
        cap = float(self.problem.limits[r]) - needed
        weights = weights - np.repeat(lightest, self.sizes)
        heaviest = np.maximum.reduceat(weights, self.starts)
        if math.fsum((heaviest * self.counts).tolist()) <= cap:
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


def best_below(
    problem: Problem,
    at: Evaluation,
    reduced: FloatArray,
    below: float,
    gap: float,
    clock: Clock,
    effort: float = math.inf,
) -> tuple[IntArray | None, float]:
    """About the best solution that costs less than `below`, and a bound on all of them, `below`
    itself where there is none; it ends when the two are within `gap`, in units of cost, or after an
    `effort` of branching nodes times columns.

    `at` is the evaluation behind the reduced costs. Members of a divisible group that are divided
    are rounded; a part of one may be on any column, however large its reduced cost.
    """
    matter = (reduced <= below - at.bound) | ~problem.whole
    columns = np.union1d(np.flatnonzero(matter), at.chosen)
    core = Core(Search(problem, below), columns, reduced, below - at.bound)
    nodes = None if effort == math.inf else 1 + int(effort / len(columns))
    found, bound, _ = core.solve(gap / abs(below) if below else gap, clock, nodes, below)
    return found, at.bound if bound is None else min(bound, below)
