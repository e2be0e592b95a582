"""Cash flows against numbers computed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flexp.planner.roi.flows import Purchase, flows, net_present_value, payback_years

# once, yearly, years, purchases, what comes out
FLOWS = {
    "nothing": (0, 0, 2, [], [0, 0, 0]),
    "yearly": (-100, 60, 2, [], [-100, 60, 60]),
    "a whole life": (0, 0, 3, [(300, 3)], [-300, 0, 0, 0]),
    "half a life left": (0, 0, 3, [(300, 2)], [-300, 0, -300, 150]),
    "a long life": (0, 10, 3, [(500, 5)], [-500, 10, 10, 210]),
    "two things": (-1, 0, 2, [(100, 1), (40, 2)], [-141, -100, 0]),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    once, yearly, years, bought, expected = FLOWS[case]
    purchases = [Purchase(Decimal(price), life) for price, life in bought]
    assert flows(Decimal(once), Decimal(yearly), years, purchases) == list(map(Decimal, expected))


@pytest.mark.parametrize(
    ("cash", "rate", "expected"),
    [
        ([-100, 60, 60], "0.1", "4.13"),  # -100 + 54.545 + 49.587
        ([-1000, 500, 500, 500], "0.07", "312.16"),  # 467.290 + 436.719 + 408.149 - 1000
        ([-50, 20], "0", "-30.00"),
        ([0, 0], "0.07", "0.00"),
    ],
)
def test_net_present_value(cash: list[int], rate: str, expected: str) -> None:
    found = net_present_value(list(map(Decimal, cash)), Decimal(rate))
    assert found.quantize(Decimal("0.01")) == Decimal(expected)


@pytest.mark.parametrize(
    ("cash", "expected"),
    [
        ([-100, 60, 60], "1.67"),  # 40 of the second year's 60
        ([-100, 100], "1.00"),
        ([-100, 60, 30], None),
        ([0, 5], "0.00"),
        ([-300, 200, -300, 900], "2.44"),  # turns again after the second purchase: 400 of 900
    ],
)
def test_payback(cash: list[int], expected: str | None) -> None:
    found = payback_years(list(map(Decimal, cash)))
    assert (found and found.quantize(Decimal("0.01"))) == (expected and Decimal(expected))
