"""A second opinion where HiGHS says that no whole-number choice keeps the rows."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator

import numpy as np

from .clock import Clock
from .core import Core, Search
from .problem import IntArray, Problem

EXHAUSTIVE_CHOICES = 20_000


def second_opinion(problem: Problem, clock: Clock) -> tuple[bool, IntArray | None]:
    """Whether another method agrees, and a solution if it has found one after all.

    Few choices are tried one by one; otherwise CBC, the other solver that PuLP brings, is asked.
    """
    if not problem.divisible and choices(problem) <= EXHAUSTIVE_CHOICES:
        found = next((x for x in all_choices(problem) if problem.feasible(x)), None)
        return found is None, found
    import pulp

    from .core_model import integer_program

    columns = np.arange(problem.columns)
    core = Core(Search(problem, -math.inf), columns, np.zeros(problem.columns), math.inf)
    model, variables = integer_program(core, np.zeros(len(core.columns)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PuLP 4 will name it otherwise
        cbc = pulp.PULP_CBC_CMD(msg=False, timeLimit=clock.left(), threads=1)
    model.solve(cbc)
    if model.status == pulp.LpStatusInfeasible:
        return True, None
    if model.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return False, None
    counts = core.fixed.copy()
    counts[core.columns] = [round(x.varValue or 0) for x in variables]
    return False, counts


def choices(problem: Problem) -> int:
    """How many ways there are to give the members of each group its columns, rows aside."""
    sizes = np.diff(problem.offsets)
    return math.prod(
        math.comb(int(n + k - 1), int(n)) for n, k in zip(problem.counts, sizes, strict=True)
    )


def all_choices(problem: Problem) -> Iterator[IntArray]:
    """Every way to give the members of each group its columns, rows aside."""
    splits = [
        list(_splits(int(n), int(k)))
        for n, k in zip(problem.counts, np.diff(problem.offsets), strict=True)
    ]
    for parts in itertools.product(*splits):
        yield np.array([n for part in parts for n in part], dtype=np.int64)


def _splits(members: int, columns: int) -> Iterator[tuple[int, ...]]:
    if columns == 1:
        yield (members,)
        return
    for first in range(members + 1):
        for rest in _splits(members - first, columns - 1):
            yield (first, *rest)
