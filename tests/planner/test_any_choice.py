"""Any choice that keeps the limits, against all choices tried one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flexp.planner.any_choice import Search, any_choice, bands, impossible
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.links import with_own_traffic
from flexp.planner.objective import parse_objective
from flexp.planner.program import Program
from flexp.planner.queues import holds
from flexp.planner.solve import prepare
from flexp.planner.solver.clock import endless
from flexp.planner.solver.confirm import all_choices, choices
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .conftest import device, fleet, link, random_fleets, with_second_server

MOST_CHOICES = 3000
ROOM = 0.99
"""Of the servers' limits."""


@settings(max_examples=20, deadline=None)
@given(case=random_fleets(max_clients=3), speed=st.none() | st.floats(0.2, 3.0))
def test_no_choice_is_where_there_is_said_to_be_none(
    case: tuple[Profile, ResolvedFleet], speed: float | None
) -> None:
    profile, made = case
    program = _small(profile, made if speed is None else with_second_server(made, speed))
    levels = _levels_of_all(program)
    assert not (levels and impossible(program, endless()))
    search = Search(program, endless())
    for below, level in bands(program):
        if not search.room(below, level):
            assert not any((own <= level).all() and (own > below).any() for own in levels)


@settings(max_examples=20, deadline=None)
@given(case=random_fleets(max_clients=3))
def test_a_choice_is_found_where_one_leaves_some_room(case: tuple[Profile, ResolvedFleet]) -> None:
    profile, made = case
    program = _small(profile, made)
    try:
        found = any_choice(program, endless())
    except TimeoutError:
        use = {"server_utilisation": ROOM * program.policy.server_utilisation}
        static = replace(program.static, caps=ROOM * program.static.caps)
        tight = replace(program, policy=program.policy.model_copy(update=use), static=static)
        assert not _levels_of_all(tight)
        return
    assert holds(*_own(program, found.x))


def test_the_fewest_are_absent(profile: Profile) -> None:
    """The server has memory for three of five, and time for the two whose links are slow."""
    slow, fast = link("slow", up=4, down=4), link("fast", up=400, down=400)
    clients = [(f"c{i}", device(), slow if i < 3 else fast) for i in range(5)]
    made = fleet(clients, (device("small", gflops=12, usable_mib=575), link("wide", 9e3, 9e3)))
    task = prepare({profile.settings.batch: profile}, made)
    builder = task.builder(parse_objective("absent"), DEFAULT_CURVE)
    program = builder.build(np.ones(len(clients), dtype=bool))
    least = min(
        float(program.absent @ x) for x in all_choices(program.static) if holds(*_own(program, x))
    )
    found = any_choice(program, endless())
    assert float(program.absent @ found.x) == least
    assert 0 < least < len(clients)
    assert found.program.static is program.static


def test_none_is_found_of_a_fleet_without(profile: Profile) -> None:
    clients = [(f"c{i}", device(), link()) for i in range(3)]
    program = _program(profile, fleet(clients, (device("slow", gflops=1), link("wide", 9e3, 9e3))))
    assert impossible(program, endless())
    with pytest.raises(TimeoutError):
        any_choice(program, endless())


def _own(program: Program, x: np.ndarray) -> tuple[Program, np.ndarray, np.ndarray]:
    own, level = with_own_traffic(program, x)
    return own, x, level


def _levels_of_all(program: Program) -> list[np.ndarray]:
    """The own level of each choice that keeps the limits, float64[K]."""
    every = (_own(program, x) for x in all_choices(program.static))
    return [tried[2] for tried in every if holds(*tried)]


def _program(profile: Profile, made: ResolvedFleet) -> Program:
    task = prepare({profile.settings.batch: profile}, made)
    return task.builder(parse_objective("total"), DEFAULT_CURVE).build()


def _small(profile: Profile, made: ResolvedFleet) -> Program:
    """Without clients that have no column, and with few choices."""
    task = prepare({profile.settings.batch: profile}, made)
    assume(not len(task.builder(parse_objective("total"), DEFAULT_CURVE).stuck()))
    program = _program(profile, made)
    assume(choices(program.static) <= MOST_CHOICES)
    return program
