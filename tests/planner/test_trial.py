"""Choices that are tried together make the queues and links that each makes alone."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.best import CLOSE
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.goal import Goal, Sum
from flexp.planner.goal_slowest import Slowest
from flexp.planner.links import with_own_traffic
from flexp.planner.objective import parse_objective
from flexp.planner.program import C5_QUEUE, Program
from flexp.planner.queues import filled
from flexp.planner.solve import prepare
from flexp.planner.solver.clock import endless
from flexp.planner.trial import try_choices
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .conftest import random_fleets, with_second_server


@settings(max_examples=20, deadline=None)
@given(
    case=random_fleets(max_clients=4),
    speed=st.floats(0.2, 3.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_one_by_one(case: tuple[Profile, ResolvedFleet], speed: float, seed: int) -> None:
    profile, fleet = case
    program = _program(profile, with_second_server(fleet, speed))
    counts = _choices(program, np.random.default_rng(seed), 20)
    trial = try_choices(program, counts)
    assert trial.settled.all()
    goals: list[Goal] = [Sum(0, endless()), Slowest(endless())]
    values = [goal.values(program, trial) for goal in goals]
    for i, x in enumerate(counts):
        own, level = with_own_traffic(program, x)
        used = trial.column[trial.choice == i]
        assert trial.seconds[trial.choice == i] == pytest.approx(
            own.steps(level).seconds[used], rel=CLOSE
        )
        for goal, found in zip(goals, values, strict=True):
            assert found[i] == pytest.approx(goal.value(own, x, level), rel=CLOSE)
        assert trial.filled[i] == pytest.approx(_fullest(own, x, level), rel=CLOSE)


def _fullest(program: Program, x: np.ndarray, level: np.ndarray) -> float:
    """Of all limits but the queue, which a choice fills just so."""
    labels = [*program.static.rows, *(row.label for row in program.rows)]
    asked = filled(program, x, level)[[label != C5_QUEUE for label in labels]].max()
    deadline = program.policy.step_deadline_seconds
    late = 0.0 if deadline is None else program.steps(level).seconds[x > 0].max() / deadline
    return max(float(asked), float(late))


def _program(profile: Profile, fleet: ResolvedFleet) -> Program:
    task = prepare({profile.settings.batch: profile}, fleet)
    builder = task.builder(parse_objective("total"), DEFAULT_CURVE)
    assume(not len(builder.stuck()))
    return builder.build()


def _choices(program: Program, random: np.random.Generator, number: int) -> np.ndarray:
    """int64[number, N]"""
    static = program.static
    counts = np.zeros((number, static.columns), dtype=np.int64)
    for x in counts:
        for first, last, members in zip(
            static.offsets, static.offsets[1:], static.counts, strict=False
        ):
            np.add.at(x, random.integers(first, last, members), 1)
    return counts
