"""What the program of a box says bounds every choice within."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from flexp.planner import places
from flexp.planner.boxes import Box, Boxes
from flexp.planner.cornered import Cornered
from flexp.planner.corners import Point
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.links import with_own_traffic
from flexp.planner.objective import parse_objective
from flexp.planner.places import with_place
from flexp.planner.program import C5_COMPUTE, Program
from flexp.planner.queues import filled, fullest_links, holds, least_wait, settle
from flexp.planner.solve import prepare
from flexp.planner.solver.lagrangian import Lagrangian
from flexp.planner.solver.problem import FloatArray, IntArray, Problem
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .conftest import random_fleets, with_second_server

ROUNDING = 1e-9
PLACE = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))


@settings(max_examples=200, deadline=None)
@given(
    case=random_fleets(max_clients=4),
    power=st.floats(-6, 6),
    ratio=st.sampled_from([1.01, 1.2, 1.6, 1.99]),
    use=st.floats(0, 0.5),
    wider=st.sampled_from([(0.0, 0.0), (0.02, 0.01), (0.3, 0.2)]),
    place=PLACE,
    servers=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_choice_asks_less(
    case: tuple[Profile, ResolvedFleet],
    power: float,
    ratio: float,
    use: float,
    wider: tuple[float, float],
    place: tuple[float, float, float],
    servers: int,
    seed: int,
) -> None:
    """The box's levels are off by 4 ** power from those that some choice makes."""
    profile, fleet = case
    program = _program(profile, fleet if servers == 1 else with_second_server(fleet, 0.7))
    random = np.random.default_rng(seed)
    x = _pick(program, random)
    level = settle(program, _members(program, x)) * 4.0**power
    assume((level > 0).any())
    level = np.where(level > 0, level, level.max())
    low = Point(level, _both(program, use, use))
    high = Point(level * ratio, _both(program, use + wider[0], use + wider[1]))
    inside, up, down = place
    there = Point(
        level * (1 + inside * (ratio - 1)),
        _both(program, use + wider[0] * up, use + wider[1] * down),
    )
    box = Boxes(program).box(low, high)
    true = _true(program, there, box, x)
    scale = 1 + np.abs(true)
    shares = np.tile(place if box.linked else place[:1], servers)
    for problem in (box.lowest(), _with_place(box, random)):
        counts = _with_shares(problem, box, _members(program, x), shares)
        asked = np.vstack([problem.cost, problem.weights]) @ counts
        assert (asked - np.append(0.0, problem.caps) <= true + ROUNDING * scale).all()
    _check_corners(box, _members(program, x), shares, true, random)


@settings(max_examples=30, deadline=None)
@given(case=random_fleets(max_clients=4), use=st.floats(0, 0.5), seed=st.integers(0, 2**32 - 1))
def test_rows_without_a_price_say_nothing(
    case: tuple[Profile, ResolvedFleet], use: float, seed: int
) -> None:
    """The Lagrangian of the rows that have a price is that of all."""
    program, random = _program(*case), np.random.default_rng(seed)
    box = Boxes(program).box(
        Point(np.array([0.1]), _both(program, 0.0, 0.0)),
        Point(np.array([1.0]), _both(program, use, use)),
    )
    full = box.lowest()
    prices = random.random(len(full.caps)) * (random.random(len(full.caps)) < 0.4)
    part = box.lowest(prices=prices)
    assert part.rows == tuple(np.array(full.rows)[prices > 0])
    found = Lagrangian(part)(prices[prices > 0]).bound
    assert found == pytest.approx(Lagrangian(full)(prices).bound, rel=1e-9, abs=1e-9)
    none = box.lowest(prices=np.zeros(0))
    assert (none.rows, none.cost.tolist()) == ((), full.cost.tolist())


@settings(max_examples=25, deadline=None)
@given(
    case=random_fleets(max_clients=3),
    speed=st.floats(0.2, 3.0),
    wider=st.sampled_from([1.0, 1.3, 1.9]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nobody_has_to_wait(
    case: tuple[Profile, ResolvedFleet], speed: float, wider: float, seed: int
) -> None:
    """A box around a choice's own levels and links holds it, at levels of 0 too: of a server with
    one client, or with none."""
    profile, fleet = case
    random = np.random.default_rng(seed)
    program = _program(profile, with_second_server(fleet, speed))
    for _ in range(10):
        x = _members(program, _pick(program, random))
        own, level = with_own_traffic(program, x)
        if level.min() == 0 and holds(own, x, level):
            break
    else:
        assume(False)
    there = Point(level, own.link_use).coordinates
    low, high = (
        Point(level / wider, own.link_use / wider),
        Point(level * wider, own.link_use * wider),
    )
    box = Boxes(program).box(low, high)
    span = high.coordinates - low.coordinates
    place = np.divide(there - low.coordinates, span, out=np.zeros_like(span), where=span > 0)
    shares = place[: 3 if box.linked else 1].T.ravel()
    cost = own.cost(0, level) @ x
    for problem in (box.lowest(), _with_place(box, random)):
        full = _with_shares(problem, box, x, shares)
        assert problem.cost @ full <= cost * (1 + ROUNDING)
        over = problem.weights @ full - problem.caps
        assert (over <= 1e-6 * (1 + np.abs(problem.caps))).all()


@settings(max_examples=40, deadline=None)
@given(case=random_fleets(max_clients=4), speed=st.floats(0.2, 3.0), seed=st.integers(0, 2**32 - 1))
def test_whoever_waits_waits_as_long(
    case: tuple[Profile, ResolvedFleet], speed: float, seed: int
) -> None:
    profile, fleet = case
    program = _program(profile, with_second_server(fleet, speed))
    x = _members(program, _pick(program, np.random.default_rng(seed)))
    own, level = with_own_traffic(program, x)
    assume((own.link_use <= fullest_links(program)).all())
    asked = filled(own, x, level)[len(own.static.caps) :]
    compute = [row.label == C5_COMPUTE for row in own.rows]
    assume((asked[compute] <= 1).all())
    for k in np.flatnonzero(level):
        most = float(program.most_level[k])
        assert 0 < least_wait(program, int(k), most) <= level[k] <= most


def test_boxes_leave_no_cycles(profile: Profile, office: ResolvedFleet) -> None:
    """Large fleets are planned without the search for garbage in cycles."""
    task = prepare({profile.settings.batch: profile}, office)
    program = task.builder(parse_objective("total"), DEFAULT_CURVE).build()
    box = Boxes(program).box(
        Point(np.array([0.1]), _both(program, 0.0, 0.0)),
        Point(np.array([1.0]), _both(program, 0.5, 0.5)),
    )
    used = [
        box.lowest(),
        box.in_time,
        box.round_seconds,
        _with_place(box, np.random.default_rng(0)),
        Cornered(box, box.price(0), box.in_time),
    ]
    gone = weakref.ref(box)
    gc.disable()
    try:
        del box, used
        assert gone() is None
    finally:
        gc.enable()


def _program(profile: Profile, fleet: ResolvedFleet) -> Program:
    task = prepare({profile.settings.batch: profile}, fleet)
    builder = task.builder(parse_objective("total"), DEFAULT_CURVE)
    assume(not len(builder.stuck()))
    return builder.build()


def _pick(program: Program, random: np.random.Generator) -> IntArray:
    """A column of each group."""
    offsets = program.static.offsets
    return random.integers(offsets[:-1], offsets[1:])


def _members(program: Program, chosen: IntArray) -> IntArray:
    x = np.zeros(program.static.columns, dtype=np.int64)
    x[chosen] = program.static.counts
    return x


def _asked(problem: Problem, chosen: IntArray) -> FloatArray:
    """float64[1 + R]: cost and loads of a choice, the place aside."""
    counts = problem.counts[: len(chosen)]
    return np.vstack([problem.cost, problem.weights])[:, chosen] @ counts


def _with_place(box: Box, random: np.random.Generator) -> Problem:
    """With all columns, and products wherever there may be any, or with few or none."""
    columns, rows = np.arange(len(box.fast.apart)), len(box.lowest().caps)
    room, most = random.choice([0.0, np.inf]), random.choice([1, 2, 200])
    with mock.patch.object(places, "MOST_PRODUCTS", most):
        near = random.random(len(columns))
        return with_place(box, box.price(0), columns, near, np.ones(rows), room)


def _with_shares(problem: Problem, box: Box, x: IntArray, shares: FloatArray) -> FloatArray:
    """What x and a place mean for all columns of a problem."""
    high = np.zeros(problem.divisible)
    high[: len(shares)] = shares[: problem.divisible]
    first = len(x) + 1
    for product in problem.products:
        share = high[(product.place - first) // 2]
        high[(product.part - first) // 2] = x[product.columns].sum() * share
    members = problem.counts[problem.groups - problem.divisible :]
    return np.append(x, np.column_stack([members - high, high]).ravel())


def _check_corners(
    box: Box, x: IntArray, shares: FloatArray, true: FloatArray, random: np.random.Generator
) -> None:
    """What prices say of the box holds for a choice at a place."""
    found = Cornered(box, box.price(0), np.ones(len(x), dtype=bool))
    prices = random.random(len(true) - 1) * (random.random(len(true) - 1) < 0.5)
    prices *= true[0] / np.maximum(np.abs(found.problem.caps), 1e-6)
    at = found(prices)
    paid = true[0] + prices @ true[1:] + ROUNDING * (1 + true[0] + prices @ np.abs(true[1:]))
    assert at.bound <= paid
    assert at.bound + found.reduced_costs(at) @ x <= paid
    assert at.bound + found.alone(at)[x > 0].max() <= paid
    for (low, high), share in zip(found.of_ends(at), shares, strict=True):
        assert at.bound + (1 - share) * low + share * high <= paid


def _true(program: Program, there: Point, box: Box, chosen: IntArray) -> FloatArray:
    """Cost, and by how much each row is exceeded, where the queues and links are `there` and each
    client adds to the links what it does there."""
    own = program.with_use(there.use)
    for _ in range(40):
        own = own.with_link_use(there.use, there.level)
    true = own.at(there.level)
    asked, rows = _asked(true, chosen), box.lowest().rows
    found = [asked[0]]
    for name in rows:
        row = true.rows.index(name.replace("_reached", ""))
        cap = true.caps[row]
        if name.startswith("C6_server_link_up") or name.startswith("C6_server_link_down"):
            kind = int(name[-2])
            used = program.servers.count[kind] * there.use[int("link_up" in name), kind]
            cap = used if "_reached" in name else min(used, cap)
        over = asked[1 + row] - cap
        found.append(-over if "_reached" in name else over)
    return np.array(found)


def _both(program: Program, up: float, down: float) -> FloatArray:
    return np.array([[up], [down]]) * np.ones((2, len(program.servers)))


def test_a_server_without_columns_leaves_its_link_as_it_is() -> None:
    on = [np.array([True, True]), np.array([False, False])]
    traffic = np.array([[1.0, 2.0], [2.0, 2.0]])
    program: Any = SimpleNamespace(apart=np.zeros(2), on=on, traffic=traffic)
    level = np.array([0.1, 0.0])
    low, high = Point(level, np.zeros((2, 2))), Point(level, np.array([[0.5, 0.5], [0.6, 0.7]]))
    first, last = Boxes(program).consistent(low, high)
    assert first.use[:, 1].tolist() == [0.0, 0.0]
    assert last.use[:, 1].tolist() == [0.5, 0.7]
