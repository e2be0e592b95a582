"""Cash flows: net present value and payback. Money is Decimal; years end at 1, 2, ...

NPV = Σ_t flow_t / (1 + rate)^t
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True)
class Purchase:
    """Something that is bought again whenever its life ends."""

    price: Decimal
    life_years: int


def flows(
    once: Decimal, yearly: Decimal, years: int, purchases: Sequence[Purchase] = ()
) -> list[Decimal]:
    """The flow of year 0 and of each year to the last; costs are negative.

    `once` comes at the beginning, `yearly` at the end of each year. A purchase is paid at the
    beginning and each time that a life ends before the last year; what it has left of its life then
    is worth that share of its price.

    Example: a price of 300 and a life of 2 over 3 years: -300, 0, -300, +150.
    """
    found = [once, *([yearly] * years)]
    for purchase in purchases:
        bought = range(0, years, purchase.life_years)
        for year in bought:
            found[year] -= purchase.price
        left = purchase.life_years - (years - bought[-1])
        found[years] += purchase.price * left / purchase.life_years
    return found


def net_present_value(found: Sequence[Decimal], rate: Decimal) -> Decimal:
    """Example: -100, 60, 60 at 10%: -100 + 60 / 1.1 + 60 / 1.21 = 4.13."""
    return sum((flow / (1 + rate) ** year for year, flow in enumerate(found)), ZERO)


def payback_years(found: Sequence[Decimal]) -> Decimal | None:
    """When the sum of the flows turns from negative for the last time, within a year evenly, not
    discounted; None: it ends negative. 0 where it never is.

    Example: -100, 60, 60: 1 + 40 / 60 = 1.67 years.
    """
    total, turned = ZERO, ZERO
    for year, flow in enumerate(found):
        before, total = total, total + flow
        if before < 0 <= total:
            turned = year - 1 - before / flow
    return turned if total >= 0 else None
