from __future__ import annotations

from itertools import islice

import pytest
from flexp.runtime.schedule import Arrival, Pace, arrivals
from hypothesis import given
from hypothesis import strategies as st

SPEEDS = st.dictionaries(st.text("abcd", min_size=1), st.floats(1e-3, 1e3), min_size=1, max_size=5)


def paces(speeds: dict[str, float]) -> dict[str, Pace]:
    return {client: Pace(step_seconds=seconds) for client, seconds in speeds.items()}


def test_a_fast_client_goes_ahead() -> None:
    order = [a.client for a in arrivals(paces({"fast": 1.0, "slow": 2.5}), {"fast": 3, "slow": 3})]
    assert order == ["fast", "fast", "slow", "fast", "slow", "slow"]


@given(speeds=SPEEDS, steps=st.integers(1, 6), done=st.integers(0, 8))
def test_every_step_once_in_order_of_time(speeds: dict[str, float], steps: int, done: int) -> None:
    order = list(arrivals(paces(speeds), dict.fromkeys(speeds, steps)))
    assert len(order) == steps * len(speeds)
    assert order == sorted(order)
    for client, seconds in speeds.items():
        own = [a for a in order if a.client == client]
        assert own == [Arrival((k + 1) * seconds, client, k) for k in range(steps)]
    begin_at = dict.fromkeys(speeds, 0)
    for arrival in islice(order, done):
        begin_at[arrival.client] = arrival.step + 1
    assert list(arrivals(paces(speeds), dict.fromkeys(speeds, steps), begin_at)) == order[done:]


def test_a_pace_may_change_on_the_way() -> None:
    """From step 2 on, at second 10, the client takes half as long."""
    pace = Pace(step_seconds=1.5, from_step=2, from_seconds=10.0)
    assert pace.done_at(2) == pytest.approx(11.5)
    order = list(arrivals({"ada": pace}, {"ada": 4}, {"ada": 2}))
    assert order == [Arrival(11.5, "ada", 2), Arrival(13.0, "ada", 3)]
