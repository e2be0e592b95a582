"""Choices and the levels of their queues, against every assignment of small fleets."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from flexp.planner.levels import QUEUE, Leveled
from flexp.planner.queueing import demand
from flexp.planner.solver.confirm import all_choices
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.problem import FloatArray, IntArray, Problem
from flexp.planner.solver.queue_cap import GAP, Queued, minimise_with_queue
from flexp.planner.solver.queue_slowest import QueuedSlowest, minimise_slowest_with_queue
from flexp.planner.solver.solve import Infeasible, Progress
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 10**6)
ROUNDING = 1e-8


def fleet(seed: int, servers: int = 1, deadline: bool = True) -> Leveled:
    """Up to 9 clients of up to 3 kinds with up to 4 options; some don't ask for the server, some
    make one visit, and half of the fleets overload it."""
    random = np.random.default_rng(seed)
    sizes, counts = (random.integers(1, 5, 3), random.integers(1, 4, 3))
    columns = int(sizes.sum())
    visits = np.exp(random.normal(random.choice([-2.0, 0.5]), 1, (columns, 2)))
    visits[random.random(columns) < 0.3, 1] = 0.0
    visits[random.random(columns) < 0.15] = 0.0
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    memory = random.integers(0, 10, (1, columns)).astype(float)
    least, most = (
        (f.reduceat(memory[0], offsets[:-1]) * counts).sum() for f in (np.minimum, np.maximum)
    )
    cap = least - 0.5 + random.random() * (most - least + 1)
    cost = random.uniform(0, 2, columns) * random.integers(0, 2)
    return Leveled(
        Problem(counts, offsets, cost, memory, np.array([cap]), ("memory",)),
        np.full(columns, random.uniform(0.1, 2)),
        demand(np.exp(random.normal(0.5, 1.2, columns)), visits),
        random.integers(0, servers, columns),
        tuple(random.integers(1, 4, servers).tolist()),
        float(np.exp(random.normal(2, 1))) if deadline and random.random() < 0.3 else math.inf,
    )


def everything(family: Leveled) -> Iterator[tuple[IntArray, FloatArray]]:
    """All choices that keep the other rows and the deadline, each at its own levels."""
    for x in all_choices(family.problem):
        if family.problem.feasible(x):
            levels = family.settle(x)
            if family.allowed(levels)[x > 0].all():
                yield x, levels


@given(SEEDS)
@settings(max_examples=12, deadline=None)
def test_the_total_equals_brute_force(seed: int) -> None:
    family = fleet(seed)
    best = min((family.at(w).value(x) for x, w in everything(family)), default=math.inf)
    found = minimise_with_queue(family)
    if isinstance(found, Infeasible):
        assert best == math.inf
        return
    solution = found.solution
    assert best * (1 - ROUNDING) <= solution.value <= best * (1 + GAP)
    assert solution.bound <= best * (1 + ROUNDING)
    assert solution.status == "optimal"
    assert family.at(found.levels).feasible(solution.counts)
    assert found.levels == pytest.approx(family.settle(solution.counts))


@given(SEEDS)
@settings(max_examples=12, deadline=None)
def test_the_slowest_equals_brute_force(seed: int) -> None:
    family = fleet(seed)
    best = min((family.seconds(w)[x > 0].max() for x, w in everything(family)), default=math.inf)
    found = minimise_slowest_with_queue(family)
    if isinstance(found, Infeasible):
        assert best == math.inf
        return
    slowest = found.slowest
    assert best * (1 - ROUNDING) <= slowest.seconds <= best * (1 + GAP)
    assert slowest.bound <= best * (1 + ROUNDING)
    assert slowest.gap <= GAP * (1 + ROUNDING)
    used = slowest.solution.counts > 0
    assert family.seconds(found.levels)[used].max() <= slowest.seconds


@given(SEEDS)
@settings(max_examples=5, deadline=None)
def test_bounds_hold_for_two_servers_too(seed: int) -> None:
    family = fleet(seed, servers=2)
    best = min((family.at(w).value(x) for x, w in everything(family)), default=math.inf)
    try:
        found = minimise_with_queue(family, time_limit_seconds=1.0)
    except TimeoutError:
        return
    if isinstance(found, Infeasible):
        assert best == math.inf
        return
    assert found.solution.bound <= best * (1 + ROUNDING)
    assert found.solution.value >= best * (1 - ROUNDING)


@given(SEEDS, st.floats(0, 3), st.floats(1e-6, 10), st.integers(1, 2))
@settings(max_examples=100, deadline=None)
def test_corners_lie_below_all_levels_between_them(
    seed: int, low: float, width: float, servers: int
) -> None:
    family = fleet(seed, servers)
    random = np.random.default_rng(seed)
    bottom = low * random.random(servers)
    top = bottom + width * random.random(servers)
    corners = family.corners(bottom, top)
    widest = family.widest(bottom, top)
    prices = random.exponential(1, len(corners[0].caps))
    below = min(Lagrangian(corner)(prices).bound for corner in corners)
    for _ in range(4):
        levels = bottom + random.random(servers) * (top - bottom)
        problem = family.at(levels)
        within = Lagrangian(problem)(prices).bound
        assert below <= within + 1e-9 * abs(within)
        assert (widest.cost <= problem.cost).all()
        assert (widest.weights <= problem.weights).all()


def test_a_light_queue_takes_one_program() -> None:
    """Nobody waits: the best choice is that without queues, at levels near 0."""
    family = Leveled(
        Problem(
            np.array([3, 2]), np.array([0, 2, 4]), np.zeros(4), np.zeros((0, 4)), np.zeros(0), ()
        ),
        np.ones(4),
        demand(np.array([5.0, 9.0, 7.0, 6.0]), np.full((4, 1), 1e-9)),
        np.zeros(4, dtype=np.int64),
        (1,),
    )
    found = minimise_with_queue(family)
    assert isinstance(found, Queued)
    assert found.solution.counts.tolist() == [3, 0, 0, 2]
    assert found.solution.value == pytest.approx(3 * 5 + 2 * 6)
    assert set(found.solution.seconds) == {"no queues"}


def test_clients_share_out_a_server_that_is_full() -> None:
    """Ten clients, each 10 s with 1 s of server or 10.5 s without: not all go to the server."""
    visits = np.array([[1.0], [0.0]])
    family = Leveled(
        Problem(np.array([10]), np.array([0, 2]), np.zeros(2), np.zeros((0, 2)), np.zeros(0), ()),
        np.ones(2),
        demand(np.array([9.0, 10.5]), visits),
        np.zeros(2, dtype=np.int64),
        (1,),
    )
    found = minimise_with_queue(family)
    assert isinstance(found, Queued)
    served = int(found.solution.counts[0])
    assert 0 < served < 10
    values = []
    for n in range(11):
        x = np.array([n, 10 - n])
        values.append(family.at(family.settle(x)).value(x))
    assert found.solution.value == pytest.approx(min(values))
    assert family.at(found.levels).rows == (QUEUE,)


def test_more_accelerators_never_hurt() -> None:
    slower = fleet(11, deadline=False)
    values = []
    for workers in (1, 2, 4):
        family = Leveled(**{**vars(slower), "workers": (workers,)})
        found = minimise_with_queue(family)
        assert isinstance(found, Queued)
        values.append(found.solution.value)
    assert values[2] <= values[1] * (1 + GAP) <= values[0] * (1 + GAP) ** 2


def test_progress_and_stop() -> None:
    seen: list[Progress] = []
    found = minimise_with_queue(fleet(3, deadline=False), on_progress=seen.append)
    assert isinstance(found, Queued)
    bounds = [p.bound for p in seen]
    assert bounds == sorted(bounds)
    assert seen[-1].value == found.solution.value
    slow = minimise_slowest_with_queue(fleet(3, deadline=False), on_progress=seen.append)
    assert isinstance(slow, QueuedSlowest)
