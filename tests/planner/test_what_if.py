"""One device changed: the checker agrees with every figure, and so does planning again."""

from __future__ import annotations

import pytest
from flexp.planner.checker import variant_of, violations
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.program import LABELS
from flexp.planner.what_if import WhatIf, find_entries
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link, planned

LIMITS = {*LABELS, "C2_device_memory", "C3_wire", "C7_step_deadline", "C8_depth", "C9_energy"}


def test_every_change_is_recomputed_as_the_checker_does(
    profile: Profile, office: ResolvedFleet, office_plan: Plan
) -> None:
    what_if = WhatIf(office_plan, {16: profile}, office)
    kept = 0
    for index in range(5):
        for variant in what_if.menu.variants:
            changed = what_if.at(index, variant, "server")
            labels = {label for label, _ in violations(changed.plan, {16: profile}, office)}
            assert labels <= LIMITS
            if not labels:
                kept += 1
                bound = office_plan.objectives[0].bound
                assert changed.values[0] >= bound * (1 - 1e-9)
    assert kept > 5


def test_no_change_changes_nothing(
    profile: Profile, office: ResolvedFleet, office_plan: Plan
) -> None:
    what_if = WhatIf(office_plan, {16: profile}, office)
    same = what_if.at(2, variant_of(office_plan.clients[2]), "server")
    assert same.plan.clients == office_plan.clients
    assert same.plan.servers == office_plan.servers
    assert same.values == (office_plan.objectives[0].value,)


def test_one_member_of_a_class_goes_to_another_server(profile: Profile) -> None:
    made = fleet([("pi", device(gflops=10), link())], (device("rack", 200), link("l", 1e4, 1e4)))
    made = made.model_copy(
        update={
            "clients": (made.clients[0].model_copy(update={"count": 6}),),
            "servers": (made.server.model_copy(update={"count": 2}),),
        }
    )
    plan = planned(profile, made)
    what_if = WhatIf(plan, {16: profile}, made)
    variant, start = variant_of(plan.clients[0]), plan.clients[0].server
    other = next(server.name for server in plan.servers if server.name != start)
    changed = what_if.at(0, variant, other)
    assert what_if.broken(changed) == ()
    assert [server.clients for server in changed.plan.servers] in ([2, 4], [4, 2])
    assert changed.client.members.__next__() == "pi-1"


def test_entries_of_a_class_and_of_a_member(profile: Profile, office_plan: Plan) -> None:
    clients = tuple(
        office_plan.clients[0].model_copy(
            update={"name": "pi", "class_size": 12, "first": first, "count": 6}
        )
        for first in (1, 7)
    )
    plan = office_plan.model_copy(update={"clients": clients})
    assert find_entries(plan, "pi") == [0, 1]
    assert find_entries(plan, "pi-07") == [1]
    assert find_entries(plan, "pi-7") == find_entries(plan, "pie") == []


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_alone_it_is_what_planning_for_that_depth_gives(profile: Profile, depth: int) -> None:
    made = fleet([("a", device(gflops=40), link())])
    what_if = WhatIf(planned(profile, made), {16: profile}, made)
    (variant,) = (v for v in what_if.menu.variants if v.placement.depth == depth)
    only = made.clients[0].model_copy(update={"min_depth": depth, "max_depth": depth})
    again = planned(profile, made.model_copy(update={"clients": (only,)}))
    assert what_if.at(0, variant, "server").values[0] == pytest.approx(again.objectives[0].value)
    assert what_if.alone(made.clients[0], variant, what_if.plan.clients[0]) == pytest.approx(
        again.objectives[0].value, rel=1e-2
    )
