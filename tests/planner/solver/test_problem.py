from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from .conftest import problem_of

PROBLEM = problem_of([(3, [(1.0, 10.0), (2.0, 4.0)]), (1, [(5.0, 0.5)])], [20.0])


def test_value_loads_and_feasibility_by_hand() -> None:
    x = np.array([1, 2, 1])
    assert PROBLEM.value(x) == 10.0
    assert PROBLEM.loads(x).tolist() == [18.5]
    assert PROBLEM.feasible(x)
    assert not PROBLEM.feasible(np.array([2, 1, 1]))  # 24.5 > 20
    assert not PROBLEM.feasible(np.array([1, 1, 1]))  # a member is missing
    assert not PROBLEM.feasible(np.array([-1, 4, 1]))


def test_a_row_may_be_overrun_by_a_billionth_of_its_cap() -> None:
    x = np.array([1, 2, 1])
    assert replace(PROBLEM, caps=np.array([18.5 * (1 - 5e-10)])).feasible(x)
    assert not replace(PROBLEM, caps=np.array([18.5 * (1 - 2e-9)])).feasible(x)


def test_the_group_of_a_column() -> None:
    assert PROBLEM.group_of(np.arange(3)).tolist() == [0, 0, 1]


def test_keep_some_columns() -> None:
    kept = PROBLEM.keep(np.array([1, 2]))
    assert (kept.offsets.tolist(), kept.cost.tolist()) == ([0, 1, 2], [2.0, 5.0])
    assert kept.weights.tolist() == [[4.0, 0.5]]
    with pytest.raises(ValueError, match="every group needs at least one column"):
        PROBLEM.keep(np.array([0, 1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.array([3, 0])}, "at least one member"),
        ({"offsets": np.array([0, 2, 2])}, "at least one column"),
        ({"offsets": np.array([0, 3])}, "2 offsets for 2 groups"),
        ({"cost": np.array([1.0, np.nan, 2.0])}, "finite"),
        ({"caps": np.array([np.inf])}, "finite"),
        ({"rows": ("a", "b")}, "2 row names"),
        ({"weights": np.ones((1, 2))}, r"weights are \(1, 2\)"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PROBLEM, **change)
