"""All choices within some room of a bound, against all there are."""

from __future__ import annotations

import numpy as np
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.listing import list_choices
from flexp.planner.solver.problem import Problem
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import every_choice, problems
from .test_best_below import divided

MOST = 200_000
"""More choices than any of `problems` has."""


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_lists_what_is_within_the_room(problem: Problem, seed: int, share: float) -> None:
    lagrangian = Lagrangian(problem)
    at = lagrangian(np.random.default_rng(seed).random(len(problem.caps)))
    reduced = lagrangian.reduced_costs(at)
    room = share * float(np.maximum.reduceat(reduced, problem.offsets[:-1]) @ problem.counts)
    wanted = {tuple(x) for x in every_choice(problem) if reduced @ x <= room * (1 - 1e-9)}
    found = list_choices(problem, reduced, room, MOST)
    assert found is not None
    listed = [tuple(x) for x in found]
    assert len(set(listed)) == len(listed)
    assert wanted <= set(listed)
    assert all(reduced @ x <= room * (1 + 1e-9) for x in found)
    assert all((problem.loads(x) <= problem.limits + 1e-6).all() for x in found)
    if len(listed) > 1:
        assert list_choices(problem, reduced, room, len(listed) - 1) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_divided_member_may_be_anywhere(seed: int) -> None:
    """What fits at some place is listed, without the place itself."""
    problem = divided(seed)
    found = list_choices(problem, np.zeros(problem.columns), 0.0, MOST)
    assert found is not None and not found[:, 9:].any()
    listed = {tuple(x[:9]) for x in found}
    for x in every_choice(problem):
        assert tuple(x[:9]) in listed
