"""What the program around a choice says of a change, against the change at its own queues."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.boxes import Price
from flexp.planner.links import with_own_traffic
from flexp.planner.nearby import nearby
from flexp.planner.objective import parse_objective
from flexp.planner.program import C6_UP, Program
from flexp.planner.queues import filled
from flexp.planner.solve import prepare
from flexp.planner.solver.problem import FloatArray, IntArray
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link, with_second_server

EACH = 200
"""Members of a group: one of them changes little."""


def crowded(profile: Profile, servers: int) -> Program:
    """Three groups on servers whose queues and links are busy."""
    kinds = [("pi", 6, 10.0), ("tablet", 15, 30.0), ("laptop", 60, 50.0)]
    clients = [
        (f"{name}-{i}", device(name, gflops), link(name, rate, 2 * rate))
        for name, gflops, rate in kinds
        for i in range(EACH)
    ]
    server = device("tower", 8 * EACH, 65_536), link("office", 25 * EACH, 25 * EACH, 0.001)
    made = fleet(clients, server, codec="bf16")
    made = made if servers == 1 else with_second_server(made, 0.5)
    task = prepare({profile.settings.batch: profile}, made)
    return task.builder(parse_objective("total"), DEFAULT_CURVE).build()


def spread(program: Program, random: np.random.Generator) -> IntArray:
    """Each group's members on two of its columns."""
    x = np.zeros(program.static.columns, dtype=np.int64)
    for first, last in zip(program.static.offsets[:-1], program.static.offsets[1:], strict=True):
        columns = random.choice(np.arange(first, last), 2)
        x[columns[0]] += EACH // 2
        x[columns[1]] += EACH - EACH // 2
    return x


def at_its_own(program: Program, x: IntArray) -> tuple[float, FloatArray]:
    """Cost, and what is asked of the rows as shares of their limits."""
    own, level = with_own_traffic(program, x)
    return float(own.cost(0, level) @ x), filled(own, x, level)


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_one_member_changes_columns(profile: Profile, servers: int, seed: int) -> None:
    program, random = crowded(profile, servers), np.random.default_rng(seed)
    x = spread(program, random)
    own, level = with_own_traffic(program, x)
    price = Price(program.per_second[0], program.fixed[0])
    problem = nearby(own, x, level, price)
    changed = x.copy()
    source = random.choice(np.flatnonzero(x))
    group = int(program.static.group_of(source))
    column = random.integers(*program.static.offsets[group : group + 2])
    changed[source] -= 1
    changed[column] += 1
    (cost, asked), (cost_then, asked_then) = at_its_own(program, x), at_its_own(program, changed)
    said = problem.value(changed) - problem.value(x)
    assert said == pytest.approx(cost_then - cost, rel=0.1, abs=2e-5 * cost)
    names = [*program.static.rows, *(row.name for row in program.rows)]
    here = [names.index(name) for name in problem.rows]
    said_asked = (problem.loads(changed) - problem.loads(x)) / program.at(level).caps[here]
    assert said_asked == pytest.approx((asked_then - asked)[here], rel=0.2, abs=1e-5)
    room = (problem.caps - problem.loads(x)) / program.at(level).caps[here]
    assert room == pytest.approx(1 - asked[here], abs=1e-6)


def test_queues_and_links_are_busy(profile: Profile) -> None:
    program = crowded(profile, 1)
    own, level = with_own_traffic(program, spread(program, np.random.default_rng(0)))
    assert level[0] > 0.01 * own.apart.min()
    assert own.link_use.max() > 0.1
    assert any(row.label == C6_UP for row in own.rows)
