"""The shared limits as far as they would have to give way: an elastic linear program.

Every row may be exceeded at the price of the excess over its cap, and the deadline at the price of
the overrun over it. What is exceeded at the least total price says which limits to look at, and
about how far they are from enough; `planner/shared.py` confirms it by solving again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp

from .program import C5_QUEUE, Program
from .queues import settle
from .solver.highs import QuietHiGHS
from .solver.problem import FloatArray, IntArray

GROUPS = 100
"""Of a larger program a sample stands for all, on servers as full as before."""
ROUNDS = 4
"""Solved at the levels that the solution before makes."""
SMALL = 1e-6


@dataclass(frozen=True)
class Excess:
    rows: dict[str, float]
    """Name of a row -> load over cap, of those that are exceeded."""
    deadline: float
    """Longest step over the deadline; at most 1 where it is kept."""


def least_excess(program: Program) -> Excess:
    if program.static.groups > 2 * GROUPS:
        program = program.sample(
            np.arange(0, program.static.groups, program.static.groups // GROUPS)
        )
    level = np.zeros(len(program.servers))
    for _ in range(ROUNDS):
        x, rows, overrun = _solve(program, level)
        level = settle(program, x)
    taken = overrun[x > SMALL]
    return Excess(rows, 1 + float(taken.max(initial=0.0)))


def _solve(program: Program, level: FloatArray) -> tuple[Any, dict[str, float], FloatArray]:
    problem, seconds = program.at(level), program.steps(level).seconds
    deadline = program.policy.step_deadline_seconds
    overrun = np.maximum(0.0, seconds / deadline - 1) if deadline else np.zeros_like(seconds)
    model = pulp.LpProblem("elastic", pulp.LpMinimize)
    members = np.repeat(problem.counts, np.diff(problem.offsets))
    x = [model.add_variable(f"x_{o}", 0, int(most)) for o, most in enumerate(members)]
    limited = [r for r, name in enumerate(problem.rows) if not name.startswith(C5_QUEUE)]
    excess = {r: model.add_variable(f"e_{r}", 0) for r in limited}
    prices = zip(x, (overrun / problem.members).tolist(), strict=True)
    model += pulp.LpAffineExpression([*prices, *((e, 1.0) for e in excess.values())])
    for g, count in enumerate(problem.counts.tolist()):
        mine = x[problem.offsets[g] : problem.offsets[g + 1]]
        model += pulp.LpAffineExpression((one, 1) for one in mine) == count
    for r, e in excess.items():
        scale = float(np.abs(problem.caps[r])) or 1.0
        weights = problem.weights[r] / scale
        used = np.flatnonzero(weights)
        load = [(x[o], float(weights[o])) for o in used]
        model += pulp.LpAffineExpression([*load, (e, -1.0)]) <= float(problem.caps[r] / scale)
    model.solve(QuietHiGHS())
    taken: IntArray | FloatArray = np.array([one.varValue or 0.0 for one in x])
    found = {
        problem.rows[r]: 1 + e.varValue for r, e in excess.items() if (e.varValue or 0) > SMALL
    }
    return taken, found, overrun
