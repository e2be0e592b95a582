from __future__ import annotations

from flexp.planner.alternatives import alternatives, known_metrics
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.solve import Wanted
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link


def test_what_a_fifth_more_time_buys(
    profile: Profile, office: ResolvedFleet, office_plan: Plan
) -> None:
    first = office_plan.objectives[0].value
    found = alternatives({16: profile}, office, Wanted(), 0.2, office_plan)
    best = {metric: other for other in found for metric in other.best_at}
    assert "depth" in best
    assert best["depth"].change["depth"] < 0
    assert best["depth"].metrics["depth"] == 10
    assert best["depth"] is best["server"]
    for other in found:
        assert first * (1 - 1e-4) <= other.metrics["total"] <= first * 1.2
        assert other.plan.clients != office_plan.clients
        assert 1 <= other.clients_changed <= 5
    assert len({other.plan.clients for other in found}) == len(found)


def test_without_slack_nothing_is_gained(profile: Profile) -> None:
    made = fleet([("a", device(gflops=900), link())])
    assert alternatives({16: profile}, made, Wanted(objective="depth"), 0.0) == ()


def test_metrics_with_known_figures(profile: Profile, office: ResolvedFleet) -> None:
    known = ("total", "slowest", "server", "depth", "value", "bytes")
    assert known_metrics({16: profile}, office) == known
    optional = office.clients[0].model_copy(update={"optional": True})
    changed = office.model_copy(update={"clients": (optional, *office.clients[1:])})
    assert known_metrics({16: profile}, changed) == (*known, "absent")
