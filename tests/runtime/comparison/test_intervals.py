"""Means with intervals, against numbers worked by hand."""

from __future__ import annotations

import pytest
from flexp.runtime.comparison.intervals import T_975, estimate


@pytest.mark.parametrize(
    ("values", "mean", "half"),
    [
        ([1.0, 2.0, 3.0], 2.0, 4.303 / 3**0.5),
        ([2.0, 2.0], 2.0, 0.0),
        ([0.0, 1.0], 0.5, 12.706 * 0.5),
        ([float(n) for n in range(5)], 2.0, 2.776 * (2.5 / 5) ** 0.5),
    ],
)
def test_golden(values: list[float], mean: float, half: float) -> None:
    found = estimate(values)
    assert found is not None and found.half_width is not None
    assert (found.mean, found.half_width) == pytest.approx((mean, half))
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    found = estimate([3.0])
    assert found is not None and (found.mean, found.half_width, found.low) == (3.0, None, None)
    assert estimate([]) is None


def test_the_quantiles_fall_towards_the_normal_one() -> None:
    assert list(T_975) == sorted(T_975, reverse=True) and T_975[-1] > 1.96
    many = estimate([0.0, 1.0] * 50)
    assert many is not None and many.half_width == pytest.approx(2.042 * 0.5025 / 10, rel=1e-3)
