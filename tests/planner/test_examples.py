from __future__ import annotations

from pathlib import Path

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
