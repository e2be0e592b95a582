"""What a box says at its corners, drawn straight between them, bounds every choice within."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flexp.planner.boxes import Boxes, Point
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.objective import parse_objective
from flexp.planner.program import Program
from flexp.planner.queues import settle
from flexp.planner.solve import prepare
from flexp.planner.solver.problem import FloatArray, Problem
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .conftest import random_fleets

ROUNDING = 1e-9


@settings(max_examples=40, deadline=None)
@given(
    case=random_fleets(max_clients=4),
    power=st.floats(-6, 6),
    ratio=st.sampled_from([1.01, 1.2, 1.6, 1.99]),
    use=st.floats(0, 0.5),
    wider=st.sampled_from([0.0, 0.02, 0.3]),
    inside=st.floats(0, 1),
)
def test_lines_bound_what_is_between(
    case: tuple[Profile, ResolvedFleet],
    power: float,
    ratio: float,
    use: float,
    wider: float,
    inside: float,
) -> None:
    """The box's levels are off by 4 ** power from those that some choice makes."""
    profile, fleet = case
    task = prepare({profile.settings.batch: profile}, fleet)
    builder = task.builder(parse_objective("total"), DEFAULT_CURVE)
    assume(not len(builder.stuck()))
    program = builder.build()
    x = np.zeros(program.static.columns, dtype=np.int64)
    x[program.static.offsets[:-1]] = program.static.counts
    level = settle(program, x) * 4.0**power
    assume((level > 0).all())
    low, high = Point(level, _both(program, use)), Point(level * ratio, _both(program, use + wider))
    box = Boxes(program).box(low, high)
    between = Point(level * (1 + inside * (ratio - 1)), _both(program, use + wider * inside))
    own = program.with_use(between.use)
    for _ in range(5):
        own = own.with_link_use(between.use, between.level)
    true = own.at(between.level)
    bounds = [box.lowest()]
    if not box.wide:
        ends = [box.at(end) for end in (low, high)]
        bounds.append(_between(*ends, inside))
    for bound in bounds:
        assert (bound.cost <= true.cost * (1 + ROUNDING)).all()
        for name, least in zip(bound.rows, bound.weights, strict=True):
            asked = true.weights[true.rows.index(name.replace("_reached", ""))]
            sign = -1 if "_reached" in name else 1
            assert (least <= sign * asked + ROUNDING * np.abs(asked)).all(), name


def _between(at_low: Problem, at_high: Problem, inside: float) -> Problem:
    """The problem that is drawn straight between two."""
    cost, weights = (
        (1 - inside) * getattr(at_low, name) + inside * getattr(at_high, name)
        for name in ("cost", "weights")
    )
    return replace(at_low, cost=cost, weights=weights)


def _both(program: Program, use: float) -> FloatArray:
    return np.full_like(program.link_use, use)
