"""Exchanges of one or two members, against all of them."""

from __future__ import annotations

import itertools

import numpy as np
from flexp.planner.solver.clock import endless
from flexp.planner.solver.exchange import exchange
from flexp.planner.solver.problem import IntArray, Problem
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import every_choice, problem_of, problems


def test_two_members_make_room_for_each_other() -> None:
    """Neither gains alone: the second has no room before the first has left, at a cost."""
    problem = problem_of([(1, [(1.0, 4.0), (2.0, 1.0)]), (1, [(9.0, 1.0), (5.0, 4.0)])], [5.0])
    assert exchange(problem, np.array([1, 0, 1, 0]), np.zeros(4), endless()).tolist() == [
        0,
        1,
        0,
        1,
    ]


@settings(max_examples=150, deadline=None)
@given(problems(max_groups=3), st.integers(0, 999))
def test_no_exchange_is_left(problem: Problem, pick: int) -> None:
    choices = list(itertools.islice(every_choice(problem), 1000))
    if not choices:
        return
    start = choices[pick % len(choices)]
    x = exchange(problem, start, np.zeros(problem.columns), endless())
    assert problem.feasible(x)
    assert problem.value(x) <= problem.value(start)
    rounding = 1e-9 * abs(problem.value(x))
    for other in choices:
        if one_or_two_groups_change_a_member(problem, x, other):
            assert problem.value(other) >= problem.value(x) - rounding


def one_or_two_groups_change_a_member(problem: Problem, x: IntArray, other: IntArray) -> bool:
    moved = np.add.reduceat(np.abs(x - other), problem.offsets[:-1])
    return bool((moved <= 2).all() and 1 <= (moved > 0).sum() <= 2)
