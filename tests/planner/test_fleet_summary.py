from __future__ import annotations

from typing import Any

import pytest
from flexp.catalog.device import Device, Link
from flexp.catalog.devices import device_type, link_type
from flexp.planner.fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from flexp.planner.fleet_summary import summarise
from flexp.profiler.profile import Profile

from .conftest import device, link

SLOW, FAST = link("slow", up=1), link("fast", up=1000)


def made(
    *clients: tuple[str, int, Device, Link], server: Device | None = None, **policy: Any
) -> ResolvedFleet:
    """A fleet of classes (name, count, device, link), on a server that is faster than all."""
    return ResolvedFleet(
        name="test",
        servers=(
            ResolvedServer(device=server or device("rack", 10_000), link=link("wide", 1e5, 1e5)),
        ),
        clients=tuple(
            ResolvedClient(name=name, count=count, device=machine, link=line, min_depth=1)
            for name, count, machine, line in clients
        ),
        policy=Policy(**policy),
    )


def test_equal_clients_are_one_group_in_order_of_the_first() -> None:
    box, twin = device("box", 40), device("box", 40)
    found = summarise(
        made(("b", 2, box, SLOW), ("a", 3, box, FAST), ("c", 4, twin, SLOW), ("d", 1, box, FAST))
    )
    assert [(group.names, group.count) for group in found.groups] == [
        (("b", "c"), 6),
        (("a", "d"), 4),
    ]
    assert found.totals.clients == 10
    assert found.totals.training_flops_per_second == pytest.approx(10 * 40e9)
    assert found.totals.up_bits_per_second == pytest.approx(6 * 1e6 + 4 * 1e9)
    assert found.totals.usable_memory_bytes == 10 * box.usable_memory_bytes
    assert found.warnings == ()


def test_clients_differ_by_what_the_fleet_asks_of_them() -> None:
    fleet = made(("a", 1, device(), SLOW), ("b", 1, device(), SLOW))
    for change in ({"min_depth": 2}, {"max_depth": 3}, {"optional": True}, {"weight": 2.0}):
        other = fleet.clients[1].model_copy(update=change)
        changed = fleet.model_copy(update={"clients": (fleet.clients[0], other)})
        assert len(summarise(changed).groups) == 2, change


ANN = ("ann", 1, device("box", 40), SLOW)
TINY = ("cam", 800, device("tiny", 40, 400), SLOW)
METERED = link("sim", up=1, data_budget_bytes=10**6)

# fleet, whether the profile is at hand, the one warning
WARNED: dict[str, tuple[ResolvedFleet, bool, str]] = {
    "35 without ms": (
        made(("a", 1, device(), link("dsl", rtt=35))),
        False,
        "a: rtt_seconds is 35 s; is its unit missing?",
    ),
    "20 without Mbit/s": (
        made(("a", 1, device(), link("dsl", up=20e-6))),
        False,
        "a: up_bits_per_second is 20 bit/s; is",
    ),
    "40 without GFLOP/s": (
        made(("a", 1, device("box", 40e-9), SLOW)),
        False,
        "a: training_flops_per_second is 40 FLOP/s; is",
    ),
    "badly known": (
        made(
            ("p", 1, device_type("phone-helio-g99"), SLOW),
            ("q", 2, device_type("phone-helio-g99"), FAST),
        ),
        False,
        "the speed of phone-helio-g99 (3 clients) is known within a factor of 19 only",
    ),
    "a note of the catalogue": (
        made(("j", 1, device_type("jetson-nano"), link_type("lte"))),
        False,
        "jetson-nano (1 client): Its last JetPack",
    ),
    "slow server": (
        made(ANN, server=device("old", 10)),
        False,
        "ann: faster (40 GFLOP/s) than the server (10 GFLOP/s)",
    ),
    "narrow server": (
        made(("a", 2, device("box", 40), link("wide", 1e6))),
        False,
        "class a (2): its link wide is faster than the server's",
    ),
    "no watts": (
        made(ANN, energy_budget_wh=5),
        False,
        "ann: the power of box is unknown",
    ),
    "too little memory": (
        made(TINY),
        True,
        "class cam (800): needs ",
    ),
    "too many blocks": (
        made(ANN, min_depth=6).model_copy(
            update={"clients": (made(ANN).clients[0].model_copy(update={"min_depth": 6}),)}
        ),
        True,
        "ann: must keep 6 blocks, and minilm-l6 has 6",
    ),
    "small data budget": (
        made(("a", 1, device("box", 40), METERED), ("b", 2, device("box", 40), METERED)),
        True,
        "a and 2 others: overloads its link sim: 100 steps move ",
    ),
    "slow link": (
        made(ANN, step_deadline_seconds=1),
        True,
        "ann: overloads its link slow: a step takes ",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_warnings(case: str, profile: Profile) -> None:
    fleet, with_profile, text = WARNED[case]
    warnings = summarise(fleet, profile if with_profile else None).warnings
    assert len(warnings) == 1
    assert text in warnings[0]


def test_a_fleet_that_fits_is_not_warned_of(profile: Profile) -> None:
    fleet = made(ANN, ("b", 7, device("board", 10), FAST), step_deadline_seconds=60)
    assert summarise(fleet, profile).warnings == ()


def test_a_smaller_batch_and_codec_may_keep_a_budget(profile: Profile) -> None:
    """Half the batch in int8 moves about a quarter of what bf16 does."""
    bytes_of_bf16 = 2 * 16 * 64 * 384 * 2 * 2 * 100
    sim = link("sim", data_budget_bytes=round(0.3 * bytes_of_bf16))
    tight = made(("a", 1, device("box", 40), sim))
    assert len(summarise(tight, profile).warnings) == 1
    choices = Policy(codecs=("bf16", "int8"), batches=(8, 16))
    assert summarise(tight.model_copy(update={"policy": choices}), profile).warnings == ()
