"""Break-even, scaled fleets, and the tornado."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from flexp.planner.roi.scale import break_even, scaled
from flexp.planner.roi.study import Study

from ..conftest import device
from .conftest import of


@pytest.mark.parametrize(
    ("counts", "members", "expected"),
    [
        ((10, 30), 4, [1, 3]),
        ((10, 30), 80, [20, 60]),
        ((1, 1, 1), 2, [1, 1]),
        ((1, 1, 1), 4, [2, 1, 1]),
        ((7, 2), 1, [1]),
        ((5, 4), 9, [5, 4]),
    ],
)
def test_scaled(counts: tuple[int, ...], members: int, expected: list[int]) -> None:
    found = scaled(of(*counts), members)
    assert [client.count for client in found.clients] == expected
    assert found.members == members
    assert found.server.count == -(-max(members, sum(counts)) // sum(counts))


@pytest.mark.parametrize("least", [1, 7, 16, 17, 100, 640])
def test_break_even(least: int) -> None:
    asked: list[int] = []

    def npv(size: int) -> Decimal:
        asked.append(size)
        return Decimal(size - least)

    assert break_even(npv, 10) == least
    assert len(asked) < 25


def test_no_break_even() -> None:
    assert break_even(lambda size: Decimal(-size), 10) is None
    assert break_even(lambda size: Decimal(-1) if size <= 10 else None, 10) is None


def test_the_whole(study: Study) -> None:
    found = study.run()
    kinds = [one.kind for one in found.alternatives]
    assert kinds == ["none", "central", "fedavg", "new devices", "flexp"]
    flexp = found.alternatives[-1]
    size = flexp.break_even_devices
    assert size is not None
    below, at = (
        study.flexp(replace(study.setting, fleet=scaled(study.setting.fleet, n))).npv
        for n in (size - 1, size)
    )
    assert below < 0 <= at
    widths = [swing.width for swing in found.tornado]
    assert widths == sorted(widths, reverse=True)
    swings = {swing.name: swing for swing in found.tornado}
    assert {"bandwidth", "dropout", "fleet size", "value", "server price"} <= set(swings)
    for name, sign in {"value": 1, "bandwidth": 1, "server price": -1, "dropout": -1}.items():
        low, high = swings[name].npv_low, swings[name].npv_high
        assert low is not None and high is not None
        assert sign * (high - low) > 0
        ends = sorted((low, high))
        assert ends[0] <= flexp.npv <= ends[1]
    named = {name for one in found.alternatives for line in one.lines for name in line.assumes}
    listed = {one.name for one in found.assumptions}
    assert named - {"curve"} <= listed and "exchange.USD" in listed


def test_no_plan_is_said(study: Study) -> None:
    tiny = device("tablet", 15, 351)
    clients = tuple(
        client.model_copy(update={"device": tiny}) for client in study.setting.fleet.clients
    )
    broken = study.setting.fleet.model_copy(update={"clients": clients})
    found = replace(study, setting=replace(study.setting, fleet=broken)).run().alternatives[-1]
    assert (found.possible, found.npv, found.left_out) == (False, 0, 4)
    assert found.remarks
