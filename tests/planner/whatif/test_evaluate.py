"""What scenarios come to: figures against hand-computed ones, processes, and what is in the way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.solve import Wanted
from flexp.planner.whatif import evaluate as module
from flexp.planner.whatif.evaluate import Bench, Case, compared, evaluate, outcome
from flexp.planner.whatif.outcome import Figures, classes_of, figures_of
from flexp.planner.whatif.situation import Situation
from flexp.profiler.profile import Profile

from ..conftest import device, fleet, link


@pytest.fixture
def bench(profile: Profile) -> Bench:
    return Bench({(None, None): {16: profile}}, Wanted(time_limit_seconds=10))


def test_figures_by_hand(office_plan: Plan, office: ResolvedFleet) -> None:
    """Two clients of hand-made figures, one of them a class of three."""
    entry = office_plan.clients[0]
    costs = {
        **{"step_seconds": 2.0, "up_bytes_per_step": 1000, "down_bytes_per_step": 500},
        **{"energy_joules": 9.0, "server_seconds": 0.5},
    }
    one = entry.model_copy(
        update={
            **{"depth": 2, "steps": 7200, "batch": 16},
            "predicted": entry.predicted.model_copy(update=costs),
        }
    )
    three = one.model_copy(
        update={
            **{"name": "bob", "class_size": 4, "count": 3, "depth": 4, "batch": 8},
            **{"steps": 14400, "predicted": one.predicted.model_copy(update={"step_seconds": 1.5})},
        }
    )
    plan = office_plan.model_copy(update={"clients": (one, three)})
    server = office.server.model_copy(update={"energy_watts": 20.0, "cost_per_hour": 1.1})
    found = figures_of(plan, office.model_copy(update={"servers": (server,)}), 3.0)
    # the first takes 7200 steps of 2 s, four hours; the others 14400 of 1.5 s, six hours
    assert found.finish_hours == pytest.approx(6.0)
    assert found.finish_days == pytest.approx(2.0)
    assert (found.mean_round_seconds, found.slowest_round_seconds) == (2.75, 3.0)
    assert found.mean_depth == pytest.approx((2 + 3 * 4) / 4)
    assert found.run_bytes == pytest.approx(1500 * (7200 + 3 * 14400))
    assert found.bytes_per_day == pytest.approx(1500 * (7200 * 3 / 4 + 3 * 14400 * 3 / 6))
    assert found.energy_wh == pytest.approx((9 + 0.5 * 20) * (7200 + 3 * 14400) / 3600)
    assert found.server_hours == pytest.approx(6.0)
    assert found.server_cost == Decimal("6.60")
    assert found.unknown_power == 0
    ann, bob = classes_of(plan)
    assert (ann.name, ann.devices, ann.mean_depth) == (entry.device, 1, 2)
    assert (bob.name, bob.devices, bob.slowest_round_seconds) == ("bob", 3, 3.0)


def test_a_run_shorter_than_a_day(office_plan: Plan, office: ResolvedFleet) -> None:
    found = figures_of(office_plan, office, 24.0)
    assert found.bytes_per_day == found.run_bytes
    assert found.server_cost is None
    assert found.unknown_power == 6


def test_a_scenario_beside_the_baseline(bench: Bench, office: ResolvedFleet) -> None:
    start = Situation(office)
    faster = start.with_clients(
        lambda client: client.name == "dan",
        lambda client: client.model_copy(update={"link": link("fibre", 900, 900, 0.001)}),
    )
    base, other = evaluate([Case("baseline", start), Case("dan", faster)], bench)
    made = compared(base, [other], office, 6, "total", ["assumed"])
    assert (base.status, other.status) == ("optimal", "optimal")
    assert "slowest: " in base.why[0]
    assert base.figures is not None and other.figures is not None
    change = made.scenarios[0].difference
    assert set(change) == set(Figures.model_fields)
    assert change["mean_round_seconds"] == pytest.approx(
        other.figures.mean_round_seconds - base.figures.mean_round_seconds
    )
    assert change["server_cost"] is None


def test_what_is_in_the_way(bench: Bench, office: ResolvedFleet) -> None:
    start = Situation(office)
    small = start.with_clients(
        lambda client: client.name == "cat",
        lambda client: client.model_copy(update={"device": device("tablet", 15, 351)}),
    )
    weak = fleet(
        [(c.name, c.device, c.link) for c in office.clients],
        (device("tower", 80, 500), link("office", 500, 500)),
    )
    late = start.with_policy(office.policy.model_copy(update={"step_deadline_seconds": 0.01}))
    found = evaluate([Case("a", small), Case("b", Situation(weak)), Case("c", late)], bench)
    assert [one.status for one in found] == ["infeasible"] * 3
    assert [one.figures for one in found] == [None] * 3
    assert "cat" in found[0].why[0]
    assert found[1].why[0].startswith("memory of server (C4_server_memory): about ")
    assert "deadline" in found[2].why[0]


def test_no_time(bench: Bench, office: ResolvedFleet) -> None:
    hurried = replace(bench, wanted=Wanted(stop=lambda: True))
    found = outcome(Case("a", Situation(office)), hurried)
    assert found.status == "unknown" and found.why


def test_equal_scenarios_are_planned_once(
    bench: Bench, office: ResolvedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, told = [], []

    def counted(case: Case, bench: Bench) -> object:
        planned.append(case.name)
        return outcome(case, bench)

    monkeypatch.setattr(module, "outcome", counted)
    start = Situation(office)
    night = replace(start, hours_per_day=8.0)
    found = evaluate([Case("a", start), Case("b", start), Case("c", night)], bench, told.append)
    assert (planned, told) == (["a", "c"], [1, 2])
    assert [one.name for one in found] == ["a", "b", "c"]
    assert found[0].figures == found[1].figures != found[2].figures


def test_processes_change_nothing(bench: Bench, office: ResolvedFleet) -> None:
    cases = [
        Case(f"{count}", Situation(office).with_fleet(clients=office.clients[:count] * 1))
        for count in range(1, 6)
    ]
    cases += [Case(f"{h} h", replace(Situation(office), hours_per_day=h)) for h in (1.0, 2.0)]
    told: list[int] = []
    here = evaluate(cases, bench)
    there = evaluate(cases, replace(bench, workers=2), told.append)
    assert here == there
    assert told[-1] == len(cases)
