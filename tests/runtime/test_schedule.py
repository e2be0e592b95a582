from __future__ import annotations

from itertools import islice

from flexp.runtime.schedule import Arrival, arrivals
from hypothesis import given
from hypothesis import strategies as st

SPEEDS = st.dictionaries(st.text("abcd", min_size=1), st.floats(1e-3, 1e3), min_size=1, max_size=5)


def test_a_fast_client_goes_ahead() -> None:
    order = [a.client for a in arrivals({"fast": 1.0, "slow": 2.5}, 3)]
    assert order == ["fast", "fast", "slow", "fast", "slow", "slow"]


@given(speeds=SPEEDS, steps=st.integers(1, 6), done=st.integers(0, 8))
def test_every_step_once_in_order_of_time(speeds: dict[str, float], steps: int, done: int) -> None:
    order = list(arrivals(speeds, steps))
    assert len(order) == steps * len(speeds)
    assert order == sorted(order)
    for client, seconds in speeds.items():
        own = [a for a in order if a.client == client]
        assert own == [Arrival((k + 1) * seconds, client, k) for k in range(steps)]
    assert list(islice(arrivals(speeds, steps), done, None)) == order[done:]
