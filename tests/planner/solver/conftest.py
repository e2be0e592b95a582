"""Small random problems and their optima by trying every choice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from flexp.planner.solver.problem import Problem
from hypothesis import strategies as st


def problem_of(groups: list[tuple[int, list[tuple[float, ...]]]], caps: list[float]) -> Problem:
    """Each group is (members, columns), each column (cost, weight of each row)."""
    columns = np.array([column for _, options in groups for column in options], dtype=float)
    return Problem(
        counts=np.array([members for members, _ in groups], dtype=np.int64),
        offsets=np.cumsum([0, *(len(options) for _, options in groups)]),
        cost=columns[:, 0].copy(),
        weights=np.ascontiguousarray(columns[:, 1:].T),
        caps=np.array(caps, dtype=float),
        rows=tuple(f"row_{r}" for r in range(len(caps))),
    )


NUMBERS = {
    "whole": st.integers(0, 9).map(float),
    "fraction": st.integers(0, 9999).map(lambda k: k * 2**0.5 / 1000),
    "spread": st.integers(0, 99).map(lambda k: 1e6 * k + 7),
}


@st.composite
def problems(draw: st.DrawFn, max_groups: int = 4, rows: int | None = None) -> Problem:
    rows = draw(st.integers(0, 3)) if rows is None else rows
    kinds = [NUMBERS[draw(st.sampled_from(sorted(NUMBERS)))] for _ in range(rows + 1)]
    groups = [
        (
            draw(st.integers(1, 3)),
            draw(st.lists(st.tuples(*kinds), min_size=1, max_size=4)),
        )
        for _ in range(draw(st.integers(1, max_groups)))
    ]
    draft = problem_of(groups, [0.0] * rows)
    least, most = (
        (f.reduceat(draft.weights, draft.offsets[:-1], axis=1) * draft.counts).sum(axis=1)
        for f in (np.minimum, np.maximum)
    )
    share = np.array([draw(st.integers(-9, 100)) / 100 for _ in range(rows)])
    return problem_of(groups, (least + share * (most - least)).tolist())


def every_choice(problem: Problem) -> Iterator[np.ndarray]:
    """Every x that keeps all rows; written apart from the package."""
    per_group = []
    for g, members in enumerate(problem.counts):
        columns = range(problem.offsets[g], problem.offsets[g + 1])
        per_group.append(list(itertools.combinations_with_replacement(columns, int(members))))
    for picks in itertools.product(*per_group):
        x = np.zeros(problem.columns, dtype=np.int64)
        for column in itertools.chain(*picks):
            x[column] += 1
        allowed = problem.caps + 1e-9 * abs(problem.caps)
        if (problem.weights @ x <= allowed).all():
            yield x


def brute_force(problem: Problem, score: Callable[[np.ndarray], float]) -> float | None:
    return min((score(x) for x in every_choice(problem)), default=None)
