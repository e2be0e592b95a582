"""What choices of a value ask for at the least, against all choices."""

from __future__ import annotations

import math

import numpy as np
from flexp.planner.solver.ladder import Ladder
from flexp.planner.solver.problem import Problem
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import every_choice, problems

MOST = 30
FEW = 1e-9


@settings(max_examples=100, deadline=None)
@given(problems(rows=0), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_least_load_of_each_value(problem: Problem, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    units = random.integers(0, 6, problem.columns)
    loads = random.uniform(-1, 5, problem.columns)
    ladder = Ladder(problem, units, loads, MOST)
    least = np.full(MOST + 1, math.inf)
    for x in every_choice(problem):
        if units @ x <= MOST:
            least[units @ x :] = np.minimum(least[units @ x :], loads @ x)
    for value in np.flatnonzero(least < math.inf):
        x = ladder.choice(int(value))
        assert (np.add.reduceat(x, problem.offsets[:-1]) == problem.counts).all()
        assert units @ x <= value
        assert abs(loads @ x - least[value]) < FEW
    known = least[least < math.inf]
    if len(known) == 0:
        assert ladder.first(1e9) == MOST + 1
        return
    allowed = float(known.min() + share * (known.max() - known.min())) + FEW
    assert ladder.first(allowed) == int(np.flatnonzero(least <= allowed)[0])
    assert ladder.first(float(known.min()) - FEW) == MOST + 1
