"""The label prior, by hand."""

from __future__ import annotations

from math import log

import pytest
from flexp.runtime.label_prior import log_prior


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ((0, 0, 1), 2, [log(2.3 / 3.6), log(1.3 / 3.6)]),
        (([0, 1, -100], [1, 1]), 3, [log(1.3 / 4.9), log(3.3 / 4.9), log(0.3 / 4.9)]),
    ],
)
def test_golden(labels: tuple[object, ...], classes: int, expected: list[float]) -> None:
    """Of class indices, and of lists with one for each token, of which -100 does not count."""
    assert log_prior(labels, classes).tolist() == pytest.approx(expected)
