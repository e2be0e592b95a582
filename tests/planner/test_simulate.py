"""The simulation against systems whose step times are known by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flexp.planner.simulate import LEAST_STEPS, Workload, simulate

NUMBERS = ("mean_seconds", "p50_seconds", "p95_seconds", "steps")


def workload(kinds: int = 1, counts: int = 1, **changes: Any) -> Workload:
    """Two visits: 10 s on the device, 4 s of messages, 0.8 s of round trips, 3 s of server."""
    one = Workload(
        counts=np.full(kinds, counts),
        visits=np.full(kinds, 2),
        device_seconds=np.tile([3.0, 2.0, 5.0], (kinds, 1)),
        up_seconds=np.ones((kinds, 2)),
        server_seconds=np.tile([1.0, 2.0], (kinds, 1)),
        down_seconds=np.ones((kinds, 2)),
        round_trip_seconds=np.full(kinds, 0.4),
        up_share=np.full(kinds, 0.01),
        down_share=np.full(kinds, 0.01),
    )
    arrays = {name: np.asarray(value) for name, value in changes.items()}
    return replace(one, **arrays)


def test_one_client_takes_the_sum_of_its_parts() -> None:
    seen = simulate(workload(), jitter=0.0)
    assert seen.mean_seconds == pytest.approx([17.8])
    assert seen.p50_seconds == pytest.approx(seen.p95_seconds)
    assert seen.server_utilisation == pytest.approx(3 / 17.8, rel=0.01)


def test_a_single_visit_does_not_read_the_second() -> None:
    once = workload(visits=[1], server_seconds=[[1.0, 99.0]], device_seconds=[[3.0, 7.0, 99.0]])
    assert simulate(once, jitter=0.0).mean_seconds == pytest.approx([10 + 2 + 0.4 + 1])
    assert once.elsewhere_seconds() == pytest.approx([12.4])


@pytest.mark.parametrize(("clients", "workers"), [(20, 1), (20, 2), (40, 4)])
def test_a_full_server_sets_the_pace(clients: int, workers: int) -> None:
    """Clients that together ask for more than there is wait until their steps fill it exactly."""
    seen = simulate(workload(counts=clients), workers)
    assert seen.server_utilisation == pytest.approx(1.0, abs=0.01)
    assert seen.mean_seconds == pytest.approx([3 * clients / workers], rel=0.03)


def test_nobody_waits_where_everyone_has_an_accelerator() -> None:
    seen = simulate(workload(counts=4), workers=4, jitter=0.0)
    assert seen.mean_seconds == pytest.approx([17.8])


def test_first_come_first_served() -> None:
    """Two clients that only use the server take turns: each waits for the other's visit."""
    nothing = {"device_seconds": [[0.0, 0.0, 0.0]], "round_trip_seconds": [0.0]}
    wire = {"up_seconds": [[0.0, 0.0]], "down_seconds": [[0.0, 0.0]]}
    pair = workload(counts=2, server_seconds=[[1.0, 1.0]], **nothing, **wire)
    assert simulate(pair, jitter=0.0).mean_seconds == pytest.approx([4.0])


@pytest.mark.parametrize(("share", "seconds"), [(0.2, 1.0), (1 / 3, 1.0), (0.5, 1.5), (1.0, 3.0)])
def test_messages_slow_down_together_beyond_the_servers_rate(share: float, seconds: float) -> None:
    """Three clients that only send, one second at their own rate."""
    senders = workload(
        counts=3,
        visits=[1],
        device_seconds=[[0.0, 0.0, 0.0]],
        up_seconds=[[1.0, 0.0]],
        server_seconds=[[0.0, 0.0]],
        down_seconds=[[0.0, 0.0]],
        round_trip_seconds=[0.0],
        up_share=[share],
    )
    assert simulate(senders, jitter=0.0).mean_seconds == pytest.approx([seconds], rel=0.02)


def test_busy_time_is_what_the_steps_asked_for() -> None:
    mixed = workload(2, 5, device_seconds=[[3.0, 2.0, 5.0], [30.0, 20.0, 50.0]])
    seen = simulate(mixed, workers=2, steps=400)
    asked = (5 * 3 / seen.mean_seconds).sum() / 2
    assert seen.server_utilisation == pytest.approx(asked, rel=0.02)
    assert (seen.mean_seconds > [17.8, 107.8]).all()


def test_slow_classes_are_seen_too() -> None:
    mixed = workload(2, device_seconds=[[3.0, 2.0, 5.0], [3e4, 2e4, 5e4]])
    seen = simulate(mixed, steps=10)
    assert seen.steps.min() >= LEAST_STEPS
    assert seen.mean_seconds[1] == pytest.approx(1e5, rel=0.4)


def test_jitter_spreads_steps_and_keeps_their_mean() -> None:
    calm, lively = (simulate(workload(), jitter=j, steps=5000) for j in (0.05, 0.4))
    assert calm.mean_seconds == pytest.approx([17.8], rel=0.01)
    assert lively.mean_seconds == pytest.approx([17.8], rel=0.02)
    assert lively.p50_seconds < lively.mean_seconds < lively.p95_seconds
    assert lively.p95_seconds - lively.p50_seconds > 5 * (calm.p95_seconds - calm.p50_seconds)


def test_the_seed_decides() -> None:
    first, again, other = (simulate(workload(3, 2), seed=s) for s in (1, 1, 2))
    for name in NUMBERS:
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (first.mean_seconds != other.mean_seconds).all()


def test_seconds_can_be_milliseconds() -> None:
    slow = workload(2, 3)
    names = ("device_seconds", "up_seconds", "server_seconds", "down_seconds")
    seconds = {n: getattr(slow, n) * 1024 for n in (*names, "round_trip_seconds")}
    fast, scaled = simulate(slow), simulate(replace(slow, **seconds))
    assert scaled.mean_seconds == pytest.approx(1024 * fast.mean_seconds, rel=1e-9)
    assert scaled.server_utilisation == pytest.approx(fast.server_utilisation)
