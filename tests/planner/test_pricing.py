"""A search that sees few columns of each client, and its bound over all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from flexp.planner import build, pricing
from flexp.planner.boxes import Boxes
from flexp.planner.build import Builder, possible
from flexp.planner.cheapest_levels import cheapest_levels
from flexp.planner.choice import Choice
from flexp.planner.corners import Point
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.goal import Sum
from flexp.planner.goal_slowest import Slowest
from flexp.planner.in_order import choose
from flexp.planner.objective import parse_objective
from flexp.planner.objective_value import objective_value
from flexp.planner.options import Options
from flexp.planner.pricing import (
    FACTORS,
    FOR_SLOWEST,
    Pick,
    cheapest_columns,
    choose_by_pricing,
    large,
)
from flexp.planner.pricing_goal import OfSlowest, OfSum
from flexp.planner.pricing_leaf import Leaf
from flexp.planner.pricing_proof import bound_of_all, may_matter
from flexp.planner.queues import fullest_links
from flexp.planner.search import Search
from flexp.planner.solve import prepare
from flexp.planner.solver.clock import Clock
from flexp.planner.solver.core import PROVEN_GAP
from flexp.planner.solver.problem import BoolArray, Problem
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, random_fleets, with_second_server
from .test_search import every_plan

GIGABITS = 1000.0


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "AT_A_TIME", 100)
        yield


def builder_of(profile: Profile, made: ResolvedFleet, objective: str = "total") -> Builder:
    task = prepare({profile.settings.batch: profile}, made)
    return task.builder(parse_objective(objective), DEFAULT_CURVE)


def many(count: int, server_gflops: float, rate: float, **policy: object) -> ResolvedFleet:
    """Distinct clients with 15 to 150 GFLOP/s; the server's figures are for each of them."""
    draw = random.Random(count)
    clients = [
        (
            f"c{i:03d}",
            device(f"d{i}", draw.uniform(15, 150), draw.randint(440, 900)),
            link(f"l{i}", draw.uniform(5, 60), draw.uniform(20, 90), draw.uniform(0.002, 0.05)),
        )
        for i in range(count)
    ]
    server = (
        device("rack", count * server_gflops, 400 + 200 * count),
        link("s", count * rate, count * rate, 0.001),
    )
    return fleet(clients, server, codecs=["fp32", "bf16", "int8"], **policy)


@pytest.mark.parametrize("objective", ["total", "total+0.2*server", "slowest"])
@pytest.mark.parametrize(("gflops", "rate"), [(40.0, GIGABITS), (12.0, GIGABITS), (40.0, 40.0)])
def test_equals_the_search_over_all_columns(
    profile: Profile, gflops: float, rate: float, objective: str
) -> None:
    made = many(250, gflops, rate)
    builder = builder_of(profile, made, objective)
    clock = Clock(120)
    priced = choose_by_pricing(builder, clock)
    whole = choose(builder.build(), builder.objectives, 0.0, clock)
    assert isinstance(priced, Choice) and isinstance(whole, Choice)
    assert priced.program.static.columns < whole.program.static.columns
    goal = Slowest(clock) if objective == "slowest" else Sum(0, clock)
    values = [goal.value(c.program, c.x, c.level) for c in (priced, whole)]
    for value, choice in zip(values, (priced, whole), strict=True):
        assert value - choice.bounds[0] <= PROVEN_GAP * value
        assert choice.bounds[0] <= min(values) * (1 + 1e-9)


def test_values_far_apart_are_left_to_the_search_over_all_columns(profile: Profile) -> None:
    """A search over the few would end at the same choice, and prove as little."""
    builder = builder_of(profile, many(250, 12.0, GIGABITS), "value")
    clock = Clock(120)
    with mock.patch.object(Search, "prove", side_effect=AssertionError):
        assert choose_by_pricing(builder, clock) is None
    whole = choose(builder.build(), builder.objectives, 0.0, clock)
    assert isinstance(whole, Choice)
    (bound,) = whole.bounds
    value = Sum(0, clock).value(whole.program, whole.x, whole.level)
    assert value - bound <= PROVEN_GAP * value


@pytest.mark.parametrize("objective", ["total", "slowest"])
@settings(max_examples=25, deadline=None)
@given(case=random_fleets(max_clients=3), keep=st.randoms(), share=st.floats(0.9, 1.5))
def test_no_plan_is_below_the_bound(
    objective: str, case: tuple[Profile, ResolvedFleet], keep: random.Random, share: float
) -> None:
    """Whichever columns the few are, and whatever was hoped for."""
    profile, made = case
    values = [
        objective_value(parse_objective(objective)[0], plan, made, DEFAULT_CURVE)
        for plan in every_plan(profile, made)
    ]
    assume(values)
    builder, steps = builder_of(profile, made, objective), iter(range(200))
    clock = Clock(60, stop=lambda: next(steps, None) is None)
    whole = builder.build()
    level = cheapest_levels(whole, 0, Clock(60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "AT_A_TIME", 2)
        few = builder.narrowed(lambda options: some_options(options, keep))
        pricing = (OfSlowest if objective == "slowest" else OfSum)(share * min(values))
        bound = bound_of_all(builder, few, level, fullest_links(whole), pricing, clock)
    assert bound <= min(values) * (1 + 1e-9)


def some_options(options: Options, keep: random.Random) -> BoolArray:
    """Each with a chance of one in five, and each client's first."""
    possible = options.possible
    first = np.cumsum(possible.reshape(len(possible), -1), axis=1).reshape(possible.shape) == 1
    drawn = np.array([keep.random() < 0.2 for _ in range(possible.size)])
    return possible & (drawn.reshape(possible.shape) | first)


@settings(max_examples=60, deadline=None)
@given(
    case=random_fleets(),
    prices=st.lists(st.sampled_from([0.0, 0.02, 0.3, 4.0]), min_size=8, max_size=8),
    levels=st.tuples(st.floats(0, 0.2), st.floats(0.01, 0.5)),
    use=st.floats(0, 0.6),
    metrics=st.sampled_from(["total", "server", "total+0.3*depth", "bytes"]),
)
def test_options_that_are_ruled_out_change_no_bound(
    case: tuple[Profile, ResolvedFleet],
    prices: list[float],
    levels: tuple[float, float],
    use: float,
    metrics: str,
) -> None:
    """Also where options are paid for what they fill of queues and links."""
    profile, made = case
    builder = builder_of(profile, with_second_server(made, 3.0), metrics)
    assume(not len(builder.stuck()))
    (options,), pricing = builder.each(lambda options: options), OfSum(math.inf)
    kinds = len(builder.servers)
    low = Point(np.full(kinds, levels[0]), np.zeros((2, kinds)))
    high = Point(np.full(kinds, sum(levels)), np.full((2, kinds), use))
    leaves = [Leaf(low, high, np.array(prices * kinds)), Leaf(low, high, np.zeros(8 * kinds))]
    whole = Boxes(builder.part(options, options.possible))
    for leaf in leaves:
        matter = may_matter(builder, options, [leaf], pricing)
        event(f"{matter.sum() / options.possible.sum():.0%} may matter")
        part = Boxes(builder.part(options, matter))
        expected = leaf.term(whole, pricing)
        assert leaf.term(part, pricing) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_the_cheapest_columns_of_each_group() -> None:
    cost = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 8.0, 8.0])
    problem = Problem(
        np.array([1, 1, 1]), np.array([0, 3, 4, 8]), cost, np.zeros((0, 8)), np.zeros(0), ()
    )
    assert cheapest_columns(problem, cost, 2).tolist() == [
        *(False, True, True),
        True,
        *(True, False, True, True),
    ]


def test_parts_make_up_the_whole(profile: Profile) -> None:
    builder = builder_of(profile, many(250, 40, GIGABITS))
    whole = builder.narrowed(possible)
    parts = [*builder.each(lambda options: builder.part(options, options.possible))]
    assert [part.static.groups for part in parts] == [100, 100, 50]
    assert sum(part.static.columns for part in parts) == whole.static.columns
    assert sum(part.service.sum() for part in parts) == pytest.approx(whole.service.sum())
    caps = np.sum([part.at(part.most_level).caps for part in parts], axis=0)
    assert caps == pytest.approx(whole.at(whole.most_level).caps)


def test_few_clients_and_several_objectives_see_all_columns(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = many(5, 40, GIGABITS)
    assert not large(builder_of(profile, made))
    monkeypatch.setattr(pricing, "FROM_COLUMNS", 1)
    assert large(builder_of(profile, made))
    assert large(builder_of(profile, made, "slowest"))
    assert not large(builder_of(profile, made, "total,energy"))


@pytest.mark.parametrize("factors", [FACTORS, FOR_SLOWEST])
@pytest.mark.parametrize("deadline", [None, 1.5])
def test_the_same_columns_are_picked_as_among_all_options(
    profile: Profile, factors: Sequence[float], deadline: float | None
) -> None:
    made = many(60, 20.0, 20.0, step_deadline_seconds=deadline)
    slowest, clock = factors is FOR_SLOWEST, Clock(60)
    builder = builder_of(profile, made, "slowest" if slowest else "total")
    pick = Pick(builder, factors, Slowest(clock) if slowest else Sum(0, clock), clock)
    assert (pick.longest < math.inf) == slowest
    for options in builder.each(lambda options: options):
        everything = replace(options)
        vars(everything)["least_cost"] = np.where(options.possible, 0.0, np.inf)
        picked = pick(options)
        assert (picked == pick(everything)).all()
        assert 0 < picked.sum() < options.possible.sum()
