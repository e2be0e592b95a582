from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flexp.catalog.files import content_hash, write_contract
from flexp.errors import FlexpError, InfeasibleError, PlanError
from flexp.planner import solve
from flexp.planner.checker import check
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan, read_plan
from flexp.planner.program import Program
from flexp.profiler.profile import Profile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .conftest import depths, device, fleet, link, minilm, planned, random_fleets

SAME = 1.1e-4
"""Relative: the search ends within 1e-4 of the optimum."""


def plan_or_none(profile: Profile, fleet: ResolvedFleet) -> Plan | None:
    try:
        return planned(profile, fleet, time_limit_seconds=20.0)
    except InfeasibleError:
        return None


def test_the_office(profile: Profile, office: ResolvedFleet) -> None:
    plan = planned(profile, office)
    assert depths(plan) == {"ann": 5, "bob": 5, "cat": 3, "dan": 1, "eve": 5}
    assert plan.objectives[0].status == "optimal"
    assert plan.bottleneck == "dan"
    assert plan.servers[0].utilisation <= plan.servers[0].utilisation_limit == 0.6
    assert plan.profile_hashes == {16: content_hash(profile)}
    assert plan.fleet_hash == content_hash(office)
    assert [client.deepest for client in plan.clients] == [5, 5, 3, 5, 5]


def test_a_plan_survives_its_file(profile: Profile, office: ResolvedFleet, tmp_path: Path) -> None:
    plan = planned(profile, office)
    for name in ("plan.yaml", "plan.json"):
        write_contract(plan, tmp_path / name)
        again = read_plan(tmp_path / name)
        assert again == plan
        check(again, {16: profile}, office)


def test_slow_devices_stay_shallow_and_fast_ones_go_deep(profile: Profile) -> None:
    made = fleet([("slow", device(gflops=2), link()), ("fast", device(gflops=900), link())],
                 (device(gflops=100), link(up=1000, down=1000)))  # fmt: skip
    assert depths(planned(profile, made)) == {"slow": 1, "fast": 5}


def test_a_busy_server_pushes_blocks_to_the_devices(profile: Profile) -> None:
    clients = [(f"c{i}", device(gflops=10), link()) for i in range(4)]
    server = device(gflops=40)
    relaxed = planned(
        profile, fleet(clients, (server, link(up=1e4, down=1e4)), server_utilisation=0.95)
    )
    busy = planned(
        profile, fleet(clients, (server, link(up=1e4, down=1e4)), server_utilisation=0.3)
    )
    assert sum(depths(busy).values()) > sum(depths(relaxed).values())
    assert busy.objectives[0].value > relaxed.objectives[0].value


def test_a_server_that_costs_nothing(profile: Profile, office: ResolvedFleet) -> None:
    free = tuple(server.model_copy(update={"cost_per_hour": 0.0}) for server in office.servers)
    (found,) = planned(profile, office.model_copy(update={"servers": free}), "cost").objectives
    assert (found.value, found.bound, found.status) == (0.0, 0.0, "optimal")


def test_privacy_floor_and_deepest(profile: Profile) -> None:
    made = fleet([("a", device(gflops=2, usable_mib=500), link(), 3)])
    (client,) = planned(profile, made).clients
    assert (client.depth, client.deepest) == (3, 3)


def test_equal_clients_get_their_depths_by_name(profile: Profile) -> None:
    clients = [(name, device(gflops=10), link()) for name in ("d", "b", "a", "c")]
    made = fleet(clients, (device(gflops=40), link(up=1e4, down=1e4)), server_utilisation=0.5)
    found = depths(planned(profile, made))
    assert len(set(found.values())) > 1
    assert [found[name] for name in "abcd"] == sorted(found.values(), reverse=True)


def test_feasible_only_when_the_gap_is_not_closed(
    profile: Profile, office: ResolvedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, value = solve.choose, planned(profile, office).objectives[0].value
    for bound, status in ((math.inf, "optimal"), (1 - 0.9e-4, "optimal"), (0.999, "feasible")):

        def looser(*given: Any, bound: float = bound) -> Any:
            found = real(*given)
            return dataclasses.replace(found, bounds=(value * bound,))

        monkeypatch.setattr(solve, "choose", looser)
        objective = planned(profile, office).objectives[0]
        monkeypatch.setattr(solve, "choose", real)
        assert objective.status == status
        assert objective.gap == pytest.approx(max(0.0, 1 - bound), abs=1e-9)


def test_a_wrong_answer_of_the_solver_does_not_pass(
    profile: Profile, office: ResolvedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everyone at the shallowest depth overloads this server."""
    real = solve.choose

    def careless(program: Program, *rest: Any) -> Any:
        found = real(program, *rest)
        x = np.zeros_like(found.x)
        for group, count in enumerate(program.static.counts):
            columns = np.arange(*program.static.offsets[group : group + 2])
            x[columns[program.service[columns].argmax()]] = count
        return dataclasses.replace(found, x=x)

    monkeypatch.setattr(solve, "choose", careless)
    with pytest.raises(PlanError, match="C5_server_compute"):
        planned(profile, office)


def test_no_plan_in_time(
    profile: Profile, office: ResolvedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(solve, "choose", endless)
    with pytest.raises(FlexpError, match=r"no plan found in 5 s") as caught:
        planned(profile, office, time_limit_seconds=5.0)
    assert caught.value.exit_code == 1


@settings(max_examples=12, deadline=None)
@given(random_fleets(max_clients=4), st.randoms(use_true_random=False))
def test_the_order_of_clients_changes_nothing(case, random) -> None:  # type: ignore[no-untyped-def]
    profile, made = case
    plan = plan_or_none(profile, made)
    assume(plan is not None)
    shuffled = list(made.clients)
    random.shuffle(shuffled)
    again = plan_or_none(profile, made.model_copy(update={"clients": tuple(shuffled)}))
    assert plan is not None and again is not None
    assert depths(again) == depths(plan)
    assert again.objectives == plan.objectives


@settings(max_examples=12, deadline=None)
@given(random_fleets(max_clients=3), st.data())
def test_more_memory_never_hurts(case, data) -> None:  # type: ignore[no-untyped-def]
    profile, made = case
    plan = plan_or_none(profile, made)
    assume(plan is not None)
    assert plan is not None

    def larger(machine):  # type: ignore[no-untyped-def]
        more = data.draw(st.integers(0, 2**29))
        return machine.model_copy(
            update={
                "usable_memory_bytes": machine.usable_memory_bytes + more,
                "ram_bytes": machine.ram_bytes + more,
            }
        )

    clients = tuple(c.model_copy(update={"device": larger(c.device)}) for c in made.clients)
    server = made.server.model_copy(update={"device": larger(made.server.device)})
    richer = plan_or_none(
        profile, made.model_copy(update={"clients": clients, "servers": (server,)})
    )
    assert richer is not None
    limit = plan.objectives[0].value * (1 + SAME)
    assert richer.objectives[0].value <= limit


@settings(max_examples=12, deadline=None)
@given(random_fleets(max_clients=3), st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_faster_clock_changes_seconds_only(case, factor) -> None:  # type: ignore[no-untyped-def]
    """Every speed times a power of two and every time divided by it: exact in floating point."""
    profile, made = case

    def faster(machine):  # type: ignore[no-untyped-def]
        speed = machine.device.training_flops_per_second * factor
        rates = {
            "up_bits_per_second": machine.link.up_bits_per_second * factor,
            "down_bits_per_second": machine.link.down_bits_per_second * factor,
            "rtt_seconds": machine.link.rtt_seconds / factor,
        }
        quick = machine.device.model_copy(update={"training_flops_per_second": speed})
        return machine.model_copy(
            update={"device": quick, "link": machine.link.model_copy(update=rates)}
        )

    deadline = made.policy.step_deadline_seconds
    policy = made.policy.model_copy(
        update={"step_deadline_seconds": deadline and deadline / factor}
    )
    quick = made.model_copy(
        update={
            "clients": tuple(map(faster, made.clients)),
            "servers": (faster(made.server),),
            "policy": policy,
        }
    )
    before, after = plan_or_none(profile, made), plan_or_none(profile, quick)
    assert (before is None) == (after is None)
    if before and after:
        total = after.objectives[0].value * factor
        assert total == pytest.approx(before.objectives[0].value, rel=SAME)


SCRIPT = """
import sys
from pathlib import Path
from flexp.catalog.files import dump_json, read_contract
from flexp.planner.fleet import ResolvedFleet
from flexp.planner import resolve
from flexp.planner.solve import make_plan
from flexp.profiler.profile import Profile
profile = read_contract(Profile, Path("profile.json"))
plan = make_plan({16: profile}, read_contract(ResolvedFleet, Path("fleet.json")))
sys.stdout.write(dump_json(plan))
heavy = sorted({"torch", "transformers", "peft"} & set(sys.modules))
sys.stderr.write(f"heavy: {heavy}")
"""


def test_planning_needs_no_torch_and_writes_only_what_it_is_told(
    profile: Profile, office: ResolvedFleet, tmp_path: Path
) -> None:
    write_contract(profile, tmp_path / "profile.json")
    write_contract(office, tmp_path / "fleet.json")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Plan.model_validate(json.loads(done.stdout)) == planned(profile, office)
    assert done.stderr == "heavy: []"


def test_a_model_too_small_to_split() -> None:
    with pytest.raises(InfeasibleError, match="minilm-l6"):
        planned(minilm(blocks=1), fleet([("a", device(), link())]))
