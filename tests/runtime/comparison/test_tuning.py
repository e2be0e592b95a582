"""The order in which rates are tried."""

from __future__ import annotations

from flexp.runtime.comparison.tuning import HEAD_RATES, LEARNING_RATES, grid


def test_the_default_comes_first_and_three_trials_meet_every_rate() -> None:
    rates = grid()
    assert len(set(rates)) == len(rates) == 9
    assert (rates[0].learning_rate, rates[0].head_rate) == (3e-3, 3e-3)
    assert {rate.learning_rate for rate in rates[:3]} == set(LEARNING_RATES)
    assert {rate.head_rate for rate in rates[:3]} == set(HEAD_RATES)
