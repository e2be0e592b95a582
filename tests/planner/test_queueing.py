"""Step times at a shared server: limits known by hand, monotonicity, and the simulation."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.queueing import (
    FULL,
    Demand,
    at_level,
    demand,
    link_factor,
    most_level,
    predict,
    steady_level,
)
from flexp.planner.simulate import Workload, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

SECONDS = st.floats(1e-4, 1e4)
CLIENTS = st.lists(
    st.tuples(SECONDS, SECONDS, st.one_of(st.just(0.0), SECONDS), st.integers(1, 50)),
    min_size=1,
    max_size=6,
)
WORKERS = st.integers(1, 8)


def demand_of(rows: list[tuple[float, float, float, int]]) -> tuple[Demand, np.ndarray]:
    table = np.array(rows)
    return demand(table[:, 0], table[:, 1:3]), table[:, 3].astype(np.int64)


def alike(elsewhere: float, visits: list[float]) -> Demand:
    return demand(np.array([elsewhere]), np.array([visits]))


def step(asked: Demand, clients: int, workers: int) -> float:
    level = steady_level(asked, np.array([clients]), workers)
    return float(at_level(asked, level, workers).seconds[0])


@given(CLIENTS, WORKERS, st.floats(0, 1e4), st.floats(1, 100))
def test_steps_rise_and_shares_fall_with_the_level(
    rows: list[tuple[float, float, float, int]], workers: int, level: float, factor: float
) -> None:
    asked, _ = demand_of(rows)
    low, high = (at_level(asked, w, workers) for w in (level, level * factor))
    assert (high.seconds >= low.seconds * (1 - 1e-12)).all()
    assert (high.share <= low.share * (1 + 1e-12)).all()
    assert ((high.share > 0) & (low.share <= 1)).all()
    unloaded = asked.elsewhere_seconds + asked.server_seconds
    assert (low.seconds >= unloaded * (1 - 1e-12)).all()


@given(CLIENTS, WORKERS)
@settings(deadline=None)
def test_the_steady_level_is_the_least_that_is_kept(
    rows: list[tuple[float, float, float, int]], workers: int
) -> None:
    asked, counts = demand_of(rows)
    level = steady_level(asked, counts, workers)
    assert counts @ at_level(asked, level, workers).share <= 1
    if level > 0:
        assert counts @ at_level(asked, level * (1 - 1e-6), workers).share > 1 - 1e-9


@given(CLIENTS, WORKERS)
@settings(deadline=None)
def test_the_server_is_never_more_than_busy(
    rows: list[tuple[float, float, float, int]], workers: int
) -> None:
    asked, counts = demand_of(rows)
    steps = at_level(asked, steady_level(asked, counts, workers), workers)
    assert counts @ (asked.server_seconds / steps.seconds) <= workers * (1 + 1e-9)


@given(CLIENTS, WORKERS)
@settings(deadline=None)
def test_levels_are_bounded_by_how_full_the_server_is(
    rows: list[tuple[float, float, float, int]], workers: int
) -> None:
    asked, counts = demand_of(rows)
    level = steady_level(asked, counts, workers)
    steps = at_level(asked, level, workers)
    full = float(counts @ (asked.server_seconds / steps.seconds)) / workers
    service = asked.server_seconds.max(keepdims=True)
    visit = asked.lengths[asked.which].max(keepdims=True)
    others = counts.sum(keepdims=True)
    assert level <= most_level(service, visit, others, full, np.array([workers]))


def test_the_highest_level_by_hand() -> None:
    """Pollaczek: visits of 3 s at a server that is 80% full wait 3 · 0.8 / (2 · 0.2) = 6 s."""
    five, one = np.array([5.0]), np.array([1])
    assert most_level(five, np.array([3.0]), np.array([100]), 0.8, one) == pytest.approx(
        [6.0], rel=1e-5
    )
    assert most_level(five, np.array([3.0]), np.array([1]), 0.8, one) == pytest.approx([5.0])


def test_a_client_alone_does_not_wait() -> None:
    assert steady_level(alike(5.0, [1.0, 2.0]), np.array([1]), 1) == 0.0
    assert step(alike(5.0, [1.0, 2.0]), 1, 1) == 8.0


def test_clients_without_server_work_take_no_share() -> None:
    asked = demand(np.array([5.0, 7.0]), np.array([[0.0, 0.0], [1.0, 1.0]]))
    steps = at_level(asked, 3.0, 1)
    assert steps.share[0] == 0.0 and steps.seconds[0] == 5.0
    assert steady_level(alike(5.0, [0.0, 0.0]), np.array([9]), 1) == 0.0


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_many_small_clients_are_an_open_queue_with_constant_service(load: float) -> None:
    """M/D/1: the wait is load / (2 (1 − load)) services."""
    clients = 10**6
    asked = alike(clients / load, [1.0])
    assert steady_level(asked, np.array([clients]), 1) == pytest.approx(
        load / (2 * (1 - load)), rel=0.01
    )


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_full_server_sets_the_pace(workers: int) -> None:
    assert step(alike(10.0, [1.0, 2.0]), 200, workers) == pytest.approx(3 * 200 / workers, rel=0.03)


@pytest.mark.parametrize(
    ("share", "utilisation", "factor"), [(1, 0, 1), (1, 0.5, 2), (1, 0.8, 5), (0.001, 0.5, 1)]
)
def test_a_message_that_could_fill_the_link_shares_it(
    share: float, utilisation: float, factor: float
) -> None:
    found = link_factor(np.array([share]), np.array([utilisation]))
    assert found == pytest.approx([factor], rel=1e-6)


@given(
    share=st.lists(st.floats(-7, 0).map(lambda power: 10.0**power), min_size=5, max_size=5),
    utilisation=st.lists(st.floats(0, 1.2), min_size=5, max_size=5),
)
def test_small_messages_are_those_of_the_formula(
    share: list[float], utilisation: list[float]
) -> None:
    """Bit for bit, though powers that add nothing are not taken."""
    fit, filled = 1 / np.array(share), np.clip(utilisation, 0.0, FULL)
    powers = filled ** (np.sqrt(2 * (fit + 1)) - 1)
    found = link_factor(np.array(share), np.array(utilisation))
    assert link_factor(np.zeros(0), np.zeros(0)).tolist() == []
    assert found.tolist() == (1 + powers / (fit * (1 - filled))).tolist()


def fleet(clients: int, workers: int, load: float, seed: int) -> Workload:
    """Clients whose speeds differ by a factor of about 5; one in three makes a single visit."""
    random = np.random.default_rng(seed)
    kinds = min(clients, 20)
    elsewhere = np.exp(0.8 * random.standard_normal(kinds))
    visits = random.choice([1, 2, 2], kinds)
    asked = np.exp(0.5 * random.standard_normal(kinds))
    asked *= load * workers / (clients / kinds * asked / elsewhere).sum()
    first = np.where(visits == 1, 1.0, 0.4)
    message = np.tile(0.1 * elsewhere[:, None], 2)
    return Workload(
        counts=np.full(kinds, clients // kinds),
        visits=visits,
        device_seconds=(elsewhere - 0.2 * elsewhere * visits)[:, None]
        * np.where(visits[:, None] == 1, [0.3, 0.7, 0.0], [0.3, 0.2, 0.5]),
        up_seconds=message,
        server_seconds=np.stack([asked * first, asked * (1 - first)], axis=1),
        down_seconds=message,
        round_trip_seconds=np.zeros(kinds),
        up_share=np.full(kinds, 1 / clients),
        down_share=np.full(kinds, 2 / clients),
    )


CASES = [
    (clients, workers, load)
    for clients in (10, 40, 1000)
    for workers in (1, 4)
    for load in (0.3, 0.8, 1.1)
]


@pytest.mark.parametrize(("clients", "workers", "load"), CASES)
def test_predicted_steps_are_simulated_ones(clients: int, workers: int, load: float) -> None:
    workload = fleet(clients, workers, load, seed=clients)
    seen = simulate(workload, workers, steps=max(20, 20_000 // clients), seed=3)
    told = predict(workload, workers)
    assert told.mean_seconds == pytest.approx(seen.mean_seconds, rel=0.1)
    assert told.mean_seconds.mean() == pytest.approx(seen.mean_seconds.mean(), rel=0.05)
    assert told.p50_seconds == pytest.approx(seen.p50_seconds, rel=0.12)
    assert told.p95_seconds == pytest.approx(seen.p95_seconds, rel=0.2)
    assert told.server_utilisation == pytest.approx(seen.server_utilisation, rel=0.06)


def test_a_shared_link_slows_messages_as_simulated() -> None:
    workload = fleet(10, 1, 0.1, seed=1)
    crowded = Workload(**{**vars(workload), "up_share": np.ones(10), "down_share": np.ones(10)})
    seen, told = simulate(crowded, steps=1000), predict(crowded)
    assert told.mean_seconds == pytest.approx(seen.mean_seconds, rel=0.1)
    assert told.up_utilisation > 0.5
    assert (told.mean_seconds > 1.1 * predict(workload).mean_seconds).all()
