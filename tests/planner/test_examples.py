from __future__ import annotations

from pathlib import Path

import pytest
from flexp.planner.resolve import read_fleet
from flexp.profiler.profile import Profile

from .conftest import planned

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_office_shows_what_a_planner_is_for(profile: Profile) -> None:
    """Depths from 1 to 5, a server near its limit, and a privacy floor that binds."""
    plan = planned(profile, read_fleet(EXAMPLES / "office-8.yaml"))
    depths = {client.name: client.depth for client in plan.clients}
    assert len(depths) == 8
    assert {1, 2, 5} <= set(depths.values()) <= {1, 2, 3, 4, 5}
    assert depths["ana-laptop"] == 5
    assert depths["emil-laptop"] == 1
    assert depths["front-desk-tablet"] == 2
    assert plan.objectives[0].status == "optimal"
    assert plan.bottleneck == "emil-laptop"
    assert plan.servers[0].utilisation > 0.9 * plan.servers[0].utilisation_limit


@pytest.mark.parametrize(
    ("name", "gap"), [("region-16", 1e-4), ("factory-200", 1e-4), ("field-10000", 1.5e-4)]
)
def test_examples_have_plans_that_are_about_proven(name: str, gap: float, profile: Profile) -> None:
    """The bound of field-10000 is that of its four equal servers as one: at one size of batch,
    single devices that don't divide evenly cost 1e-4."""
    fleet = read_fleet(EXAMPLES / f"{name}.yaml")
    policy = fleet.policy.model_copy(update={"batches": (profile.settings.batch,)})
    plan = planned(profile, fleet.model_copy(update={"policy": policy}))
    assert plan.devices == fleet.members
    assert plan.objectives[0].gap <= gap
