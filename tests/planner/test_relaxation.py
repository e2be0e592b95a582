"""Fixed points, and the links of a fleet that would fill them."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.links import link_use, with_own_traffic
from flexp.planner.objective import parse_objective
from flexp.planner.relaxation import Relaxation
from flexp.planner.solve import prepare
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link


@pytest.mark.parametrize("slope", [0.5, 3.0, 40.0, 1000.0])
def test_a_steep_map_is_solved(slope: float) -> None:
    """f falls by `slope` at its fixed point, 0.9: with a constant factor of a half it would swing
    for ever from a slope of 3."""
    at, towards = np.array([2.0, 0.0]), Relaxation()
    for _ in range(80):
        at = towards(at, 0.9 - np.clip(slope * (at - 0.9), -0.9, 0.9))
    assert at == pytest.approx([0.9, 0.9], abs=1e-9)


def test_a_link_that_everyone_together_would_fill(profile: Profile) -> None:
    """The traffic that clients make and the traffic that their steps stand for are one."""
    clients = [(f"c{n:03d}", device(gflops=200), link(up=100, down=100)) for n in range(300)]
    made = fleet(clients, (device("rack", 1e6, 65_536), link(up=3000, down=3000)))
    task = prepare({profile.settings.batch: profile}, made)
    program = task.builder(parse_objective("total"), DEFAULT_CURVE).build()
    x = np.zeros(program.static.columns, dtype=np.int64)
    x[program.elsewhere.argmin()] = 300
    own, level = with_own_traffic(program, x)
    assert own.link_use.max() > 0.9
    assert link_use(own, x, level) == pytest.approx(own.link_use, abs=1e-8)
