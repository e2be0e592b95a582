"""Where the search for choices begins, whatever an objective says of waiting."""

from __future__ import annotations

import pytest
from flexp.planner.best import Best
from flexp.planner.cheapest_levels import cheapest_levels
from flexp.planner.choice import Choice
from flexp.planner.goal import Sum
from flexp.planner.in_order import choose
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.planner.solver.clock import endless
from flexp.profiler.profile import Profile

from .test_pricing import GIGABITS, builder_of, many

INDIFFERENT = ("value", "depth", "bytes", "server")
"""To waiting."""


@pytest.mark.parametrize("objective", ["total", "total+0.2*server", *INDIFFERENT])
@pytest.mark.parametrize("gflops", [12.0, 40.0])
def test_choices_there_are_about_the_best(profile: Profile, gflops: float, objective: str) -> None:
    """With 12 GFLOP/s for each client the server is full, with 40 it has room."""
    builder = builder_of(profile, many(60, gflops, GIGABITS), objective)
    program = builder.build()
    best = Best(Sum(0, endless()), program, endless(), lambda: None)
    best.find(cheapest_levels(program, 0, endless()))
    whole = choose(program, builder.objectives, 0.0, endless())
    assert isinstance(whole, Choice)
    assert best.value <= 1.02 * whole.bounds[0]


@pytest.mark.parametrize("objective", INDIFFERENT)
def test_plans_are_proven_where_waiting_costs_nothing(profile: Profile, objective: str) -> None:
    """Of 150 clients, seen a few columns each, with a server that is as full as it may be."""
    wanted = Wanted(objective=objective, time_limit_seconds=120)
    plan = find_plan({profile.settings.batch: profile}, many(150, 11.0, GIGABITS), wanted)
    assert not isinstance(plan, NoPlan)
    assert plan.objectives[0].status == "optimal"
