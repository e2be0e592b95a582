"""Named fleets without a plan: what is said, and that it is enough."""

from __future__ import annotations

import pytest
from flexp.catalog.device import Device, Link
from flexp.errors import InfeasibleError
from flexp.planner.diagnose import applied, diagnose
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan, make_plan
from flexp.planner.solver.clock import Clock, endless
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link

SLOW = link("slow", up=10, down=10, rtt=0.05)
"""2.6 s a step for the wire alone, in bf16."""
METERED = link("metered", data_budget_bytes=200 * 10**6)
TINY = link("tiny", data_budget_bytes=10**8)
SMALL = device("tablet", usable_mib=430)

CLIENTS: dict[str, tuple[ResolvedFleet, str, str]] = {
    "memory": (
        fleet([("tab", SMALL, link())]),
        "tab can take no part with minilm-l6: at depth 1 and batch 16, needs 2.89 MiB more memory: "
        "433 MiB, where tablet offers 430 MiB (C2_device_memory)",
        "tab: 2.89 MiB more usable memory",
    ),
    "memory for the blocks it must keep": (
        fleet([("tab", device("tablet", usable_mib=470), link(), 3)]),
        "tab, at depth 3 and batch 16, needs 10.5 MiB more memory: 481 MiB, where tablet offers "
        "470 MiB (C2_device_memory)",
        "tab: any one of these is enough: 10.5 MiB more usable memory; or checkpointing allowed; "
        "or min_depth 2 instead of 3",
    ),
    "data budget": (
        fleet([("van", device(), METERED)]),
        "van, at depth 1 and batch 16, moves 301 MiB in 100 steps; its link metered allows 191 MiB "
        "(C3_wire)",
        "van: any one of these is enough: a data budget of 301 MiB; or at most 63 steps per client "
        "instead of 100; or codec int8 instead of bf16",
    ),
    "deadline": (
        fleet([("far", device(gflops=100), SLOW)], step_deadline_seconds=2),
        "far, at depth 1 and batch 16, takes 2.7 s a step; the deadline is 2 s (C7_step_deadline)",
        "far: any one of these is enough: a step deadline of 2.7 s; or codec int8 instead of bf16",
    ),
    "more blocks than the server can give": (
        fleet([("a", device(), link(), 6)]),
        "a must keep 6 blocks (C8_depth), but minilm-l6 has 6 and the server keeps at least one",
        "a: min_depth 5 instead of 6",
    ),
    "two limits at every depth": (
        fleet([("a", SMALL, TINY)]),
        "a can take no part with minilm-l6: at depth 1 and batch 16, needs 2.89 MiB more memory: "
        "433 MiB, where tablet offers 430 MiB (C2_device_memory); moves 301 MiB in 100 "
        "steps; its link tiny allows 95.4 MiB (C3_wire)",
        "a: any one of these is enough: 2.89 MiB more usable memory and a data budget of 301 MiB; "
        "or 2.89 MiB more usable memory and at most 31 steps per client instead of 100",
    ),
    "speed of one depth or blocks of another": (
        fleet([("a", device(gflops=10), link(), 2)], step_deadline_seconds=1.5),
        "a, at depth 2 and batch 16, takes 1.85 s a step; the deadline is 1.5 s (C7_step_deadline)",
        "a: any one of these is enough: a step deadline of 1.85 s; or min_depth 1 instead of 2",
    ),
    "equal clients": (
        fleet([*((f"t{i}", SMALL, link()) for i in range(8)), ("ok", device(), link())]),
        "t0 and 7 more like it can take no part with minilm-l6: at depth 1 and batch 16, needs "
        "2.89 MiB more memory: 433 MiB, where tablet offers 430 MiB (C2_device_memory)",
        "t0 and 7 more like it: 2.89 MiB more usable memory each",
    ),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_clients_without_a_variant(profile: Profile, case: str) -> None:
    made, message, hint = CLIENTS[case]
    with pytest.raises(InfeasibleError) as caught:
        make_plan({16: profile}, made)
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert caught.value.exit_code == 11


@pytest.mark.parametrize("case", CLIENTS)
def test_each_change_is_enough(profile: Profile, case: str) -> None:
    made, _, _ = CLIENTS[case]
    profiles = {16: profile}
    found = find_plan(profiles, made, Wanted())
    assert isinstance(found, NoPlan)
    (remedy,) = diagnose(profiles, made, found.stuck, endless()).remedies
    for option in remedy.options:
        assert make_plan(profiles, applied(made, option)).objectives[0].status == "optimal"


def test_optional_clients_are_not_in_the_way(profile: Profile) -> None:
    made = fleet([("ok", device(), link()), ("tab", SMALL, link())])
    optional = made.clients[1].model_copy(update={"optional": True})
    plan = make_plan(
        {16: profile}, made.model_copy(update={"clients": (made.clients[0], optional)})
    )
    assert [absent.name for absent in plan.absent] == ["tab"]


def smaller(profile: Profile, batch: int) -> Profile:
    """The profile at a smaller batch, what grows with it in proportion."""
    share = batch / profile.settings.batch
    grows = ("saved_bytes", "forward_transient_bytes", "backward_transient_bytes")
    grows += ("boundary_bytes", "forward_flops", "backward_flops")
    units = [
        unit.model_copy(update={field: round(share * getattr(unit, field)) for field in grows})
        for unit in profile.units
    ]
    settings = profile.settings.model_copy(update={"batch": batch})
    fields = profile.model_dump() | {"units": units, "settings": settings}
    return Profile.model_validate(fields)


def test_a_smaller_batch_fits_and_a_class_takes_no_part(profile: Profile) -> None:
    old = device("tablet-2017", usable_mib=390, runtime_mib=380)
    made = fleet(
        [("tablet-07", device("tablet-2021", usable_mib=470), link(), 3), ("ok", device(), link())]
    )
    olds = made.clients[1].model_copy(update={"name": "tablet-2017", "device": old, "count": 3})
    made = made.model_copy(update={"clients": (*made.clients, olds)})
    profiles = {16: profile, 8: smaller(profile, 8), 4: smaller(profile, 4)}
    found = find_plan(profiles, made, Wanted())
    assert isinstance(found, NoPlan)
    diagnosis = diagnose(profiles, made, found.stuck, endless())
    of_seven, class_of_three = diagnosis.reasons
    assert of_seven == (
        "tablet-07, at depth 3 and batch 16, needs 10.5 MiB more memory: 481 MiB, where "
        "tablet-2021 offers 470 MiB (C2_device_memory); batch 8 fits"
    )
    assert class_of_three.startswith(
        "3 devices of class tablet-2017 can take no part with minilm-l6: "
    )
    options = {remedy.who: remedy.options for remedy in diagnosis.remedies}
    assert [option[0].text for option in options["tablet-07"]] == [
        "10.5 MiB more usable memory",
        "batch 8 instead of 16",
        "checkpointing allowed",
        "min_depth 2 instead of 3",
    ]
    (more,) = options["3 devices of class tablet-2017"]
    for option in options["tablet-07"]:
        assert make_plan(profiles, applied(applied(made, option), more)).clients


def test_one_change_for_several_clients(profile: Profile) -> None:
    made = fleet(
        [
            ("far", device(gflops=100), SLOW),
            ("slow", device(gflops=3), link()),
            ("ok", device(), link()),
        ],
        step_deadline_seconds=2,
    )
    found = find_plan({16: profile}, made, Wanted())
    assert isinstance(found, NoPlan)
    diagnosis = diagnose({16: profile}, made, found.stuck, endless())
    assert diagnosis.for_all is not None
    ((longer,),) = diagnosis.for_all.options
    assert longer.text == "a step deadline of 2.7 s"
    assert make_plan({16: profile}, applied(made, (longer,))).clients
    first, *rest = diagnosis.error.hint.splitlines()
    assert first == "for all of them: a step deadline of 2.7 s"
    assert [line.partition(":")[0] for line in rest] == ["or one by one", "far", "slow"]


def test_profiles_of_smaller_batches_are_asked_for_only_without_a_plan(profile: Profile) -> None:
    asked = []

    def more() -> dict[int, Profile]:
        asked.append(True)
        return {8: smaller(profile, 8)}

    make_plan({16: profile}, fleet([("a", device(), link())]), Wanted(more_profiles=more))
    assert asked == []
    made = fleet([("tab", device("tablet", usable_mib=470), link(), 3)])
    with pytest.raises(InfeasibleError, match="batch 8 fits"):
        make_plan({16: profile}, made, Wanted(more_profiles=more))
    assert asked == [True]


def clients(count: int, gflops: float = 30) -> list[tuple[str, Device, Link]]:
    return [(f"c{i}", device(gflops=gflops), link(up=100, down=100, rtt=0)) for i in range(count)]


def several(made: ResolvedFleet, *servers: tuple[str, int, Device]) -> ResolvedFleet:
    """With servers (name, count, device) on the first one's link."""
    entries = [
        made.server.model_copy(update={"name": name, "count": count, "device": machine})
        for name, count, machine in servers
    ]
    return made.model_copy(update={"servers": tuple(entries)})


QUICK = Wanted(prove=False)
"""Any plan confirms a change."""
WIDE = link(up=10_000, down=10_000)
SLOW_UP, SLOW_DOWN = link(up=20, down=10_000), link(up=10_000, down=20)
RACK = device(gflops=900)
SHARED: dict[str, tuple[ResolvedFleet, tuple[str, ...], tuple[str, ...]]] = {
    # case -> (fleet, beginnings of the reasons, the changes)
    "server memory": (
        fleet(clients(5), (device(gflops=900, usable_mib=560), WIDE)),
        ("memory of the server (C4_server_memory): 5 clients need at least 621 MiB; it has 560",),
        (
            "621 MiB of memory on the server instead of 560 MiB",
            "leaving out 2 of 5 clients: c3 and c4",
        ),
    ),
    "server compute": (
        fleet(clients(4), (device(gflops=20), WIDE), server_utilisation=0.3),
        ("compute of the server (C5_server_compute): 4 clients need at least ",),
        (" for the server instead of 20 GFLOP/s", "server_utilisation 0.75 instead of 0.3"),
    ),
    "link from the server": (
        fleet(clients(3, 200), (RACK, SLOW_UP), server_utilisation=0.5),
        ("link from the server to the clients (C6_server_link_up): 3 clients need at least ",),
        (
            " from the server to the clients instead of 20 Mbit/s",
            "server_utilisation ",
        ),
    ),
    "link to the server": (
        fleet(clients(3, 200), (RACK, SLOW_DOWN), server_utilisation=0.5),
        ("link from the clients to the server (C6_server_link_down): 3 clients need at least ",),
        (
            " from the clients to the server instead of 20 Mbit/s",
            "server_utilisation ",
        ),
    ),
    "a deadline that only waiting exceeds": (
        fleet(clients(5), (device(gflops=120), WIDE), step_deadline_seconds=1.25),
        (
            "these limits can't be kept together",
            "compute of the server (C5_server_compute): 5 clients need at least 162 GFLOP/s; ",
            "step deadline (C7_step_deadline): each client alone keeps 1.25 s, but waiting",
        ),
        (
            "162 GFLOP/s for the server instead of 120 GFLOP/s",
            "a step deadline of 1.41 s instead of 1.25 s",
            "leaving out 2 of 5 clients: c3 and c4",
        ),
    ),
    "memory and compute together": (
        fleet(clients(4), (device(gflops=20, usable_mib=550), WIDE), server_utilisation=0.3),
        (
            "no single limit with more room is enough",
            "memory of the server (C4_server_memory): 4 clients need at least 575 MiB",
            "compute of the server (C5_server_compute): 4 clients need at least ",
        ),
        ("575 MiB of memory on the server instead of 550 MiB",),
    ),
    "two equal servers": (
        several(fleet(clients(6), (RACK, WIDE)), ("rack", 2, device(gflops=900, usable_mib=520))),
        ("memory of rack (C4_server_memory): 6 clients need at least 530 MiB each; each has 520",),
        (
            "530 MiB of memory on rack each instead of 520 MiB",
            "leaving out 2 of 6 clients: c4 and c5",
        ),
    ),
    "two kinds of servers": (
        several(
            fleet(clients(4), (RACK, WIDE)),
            ("new", 1, device("new", gflops=900, usable_mib=480)),
            ("old", 1, device("old", gflops=300, usable_mib=430)),
        ),
        ("these limits can't be kept together", "memory of new ", "memory of old "),
        ("of memory on new instead of 480", "of memory on old instead of 430"),
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_limits(profile: Profile, case: str) -> None:
    made, reasons, words = SHARED[case]
    found = find_plan({16: profile}, made, Wanted())
    assert found == NoPlan()
    diagnosis = diagnose({16: profile}, made, (), endless())
    assert len(diagnosis.reasons) == len(reasons), diagnosis.reasons
    for line, beginning in zip(diagnosis.reasons, reasons, strict=True):
        assert line.startswith(beginning)
    (remedy,) = diagnosis.remedies
    for option, word in zip(remedy.options, words, strict=True):
        assert word in option[0].text
        assert make_plan({16: profile}, applied(made, option), QUICK).clients


def test_clients_that_are_not_spread_evenly_prove_nothing(profile: Profile) -> None:
    """Two of three have to share a server, whose memory is enough for one and a half."""
    half = device(gflops=900, usable_mib=464)
    made = several(fleet(clients(3), (RACK, WIDE)), ("rack", 2, half))
    assert find_plan({16: profile}, made, Wanted()) == NoPlan(uneven=True)
    with pytest.raises(InfeasibleError, match="could not be spread evenly") as error:
        make_plan({16: profile}, made)
    assert "MiB of memory on rack each instead of 464 MiB" in str(error.value.hint)


def test_a_smaller_batch_for_all_where_the_server_lacks_memory(profile: Profile) -> None:
    made, _, _ = SHARED["server memory"]
    profiles = {16: profile, 8: smaller(profile, 8)}
    (remedy,) = diagnose(profiles, made, (), endless()).remedies
    option = next(o for o in remedy.options if o[0].text == "batch 8 instead of 16")
    plan = make_plan(profiles, applied(made, option), QUICK)
    assert 8 in {client.batch for client in plan.clients}


def test_optional_clients_do_not_count(profile: Profile) -> None:
    made, _, _ = SHARED["server memory"]
    optional = made.clients[4].model_copy(update={"optional": True})
    made = made.model_copy(update={"clients": (*made.clients[:4], optional)})
    (reason,) = diagnose({16: profile}, made, (), endless()).reasons
    assert "4 clients need at least 575 MiB; it has 560 MiB" in reason


def test_clients_first_and_then_what_they_share(profile: Profile) -> None:
    made = fleet([("tab", SMALL, link()), *clients(4)], (device(gflops=900, usable_mib=560), WIDE))
    found = find_plan({16: profile}, made, Wanted())
    assert isinstance(found, NoPlan)
    diagnosis = diagnose({16: profile}, made, found.stuck, endless())
    stuck, head, shared = diagnosis.reasons
    assert stuck.startswith("tab can take no part")
    assert head == "with these changes, the fleet's shared limits are in the way:"
    assert shared.startswith("memory of the server (C4_server_memory): 5 clients")
    changed = made
    for remedy in diagnosis.remedies:
        changed = applied(changed, remedy.options[0])
    assert make_plan({16: profile}, changed, QUICK).clients


def test_large_fleets_get_one_change_a_group(profile: Profile) -> None:
    """2,100 entries of their own; the changes of all groups are tried together."""
    many = [(f"d{i}", device(f"d{i}", gflops=20 + i / 100), link()) for i in range(2100)]
    made = fleet(
        [*many, ("tab", device("tablet", usable_mib=470), link(), 3)],
        (device("rack", 1e6, 10**6), link("s", 1e6, 1e6)),
    )
    found = find_plan({16: profile}, made, Wanted())
    assert isinstance(found, NoPlan)
    (remedy,) = diagnose({16: profile}, made, found.stuck, endless()).remedies
    ((change,),) = remedy.options
    assert change.text == "10.5 MiB more usable memory"


def test_nothing_is_tried_after_the_time(profile: Profile) -> None:
    made, _, _ = SHARED["server memory"]
    diagnosis = diagnose({16: profile}, made, (), Clock(0.0))
    first, ended = diagnosis.reasons
    assert first == "the fleet's shared limits can't be kept together (C4_server_memory)"
    assert ended.startswith("the time ended")
    assert diagnosis.remedies == ()
    made, _, _ = CLIENTS["memory"]
    diagnosis = diagnose({16: profile}, made, made.clients, Clock(0.0))
    assert [reason.split(" ")[0] for reason in diagnosis.reasons] == ["tab", "the"]
    assert diagnosis.remedies == ()
