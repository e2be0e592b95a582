"""The shared limits as far as they would have to give way: an elastic linear program.

Every row may be exceeded at the price of the excess over its cap, and the deadline at the price of
the overrun over it. What is exceeded at the least total price says which limits to look at, and
about how far they are from enough; `planner/shared.py` confirms it by solving again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .program import C5_QUEUE, Program
from .queues import settle
from .solver.linear_program import linear_program
from .solver.problem import FloatArray

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


def _solve(program: Program, level: FloatArray) -> tuple[FloatArray, dict[str, float], FloatArray]:
    problem, seconds = program.at(level), program.steps(level).seconds
    deadline = program.policy.step_deadline_seconds
    overrun = np.maximum(0.0, seconds / deadline - 1) if deadline else np.zeros_like(seconds)
    limited = [r for r, name in enumerate(problem.rows) if not name.startswith(C5_QUEUE)]
    columns, prices = problem.columns, np.ones(len(limited))
    with linear_program(-np.concatenate([overrun / problem.members, prices])) as model:
        for g, count in enumerate(problem.counts.tolist()):
            members = np.zeros(columns + len(limited))
            members[problem.offsets[g] : problem.offsets[g + 1]] = 1.0
            model.add(members, count, count)
        for i, r in enumerate(limited):
            scale = float(np.abs(problem.caps[r])) or 1.0
            excess = np.eye(1, len(limited), i)[0]
            load = np.concatenate([problem.weights[r] / scale, -excess])
            model.add(load, -np.inf, float(problem.caps[r] / scale))
        found = model.solve()
    assert found is not None
    over = {problem.rows[r]: 1 + float(e) for r, e in zip(limited, found[columns:], strict=True)}
    rows = {name: share for name, share in over.items() if share > 1 + SMALL}
    return found[:columns], rows, overrun
