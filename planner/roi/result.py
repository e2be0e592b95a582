"""What `flexp roi` finds: alternatives, line by line, and what matters most."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import NonNegativeInt

from ...catalog.files import Contract
from .costs import Assumption

Kind = Literal["none", "central", "fedavg", "new devices", "flexp"]


class Line(Contract):
    """An amount, and how it comes about."""

    name: str
    when: Literal["once", "yearly"]
    amount: Decimal
    """Of money; costs are negative."""
    how: str
    """The multiplication in words and figures."""
    assumes: tuple[str, ...]
    """Names of assumptions."""


class Alternative(Contract):
    kind: Kind
    devices: NonNegativeInt
    """That are served."""
    left_out: NonNegativeInt = 0
    remarks: tuple[str, ...] = ()
    possible: bool = True
    """Whether there is a plan at all; the remarks say why not."""
    lines: tuple[Line, ...] = ()
    flows: tuple[Decimal, ...] = ()
    """Of year 0 and of each year."""
    npv: Decimal = Decimal(0)
    """Against no model."""
    payback_years: Decimal | None = None
    """Not discounted; none: not in the years looked at."""
    break_even_devices: NonNegativeInt | None = None
    """The smallest fleet of this mixture whose NPV is not negative; none: not found."""

    def total(self, when: str, positive: bool) -> Decimal:
        """Of the lines that are paid (or earned) then."""
        amounts = (line.amount for line in self.lines if line.when == when)
        return sum((a for a in amounts if (a > 0) == positive), Decimal(0))


class Swing(Contract):
    """What the NPV of flexp becomes where one thing is otherwise."""

    name: str
    low: str
    """In words: "-50%", or as far towards it as there are plans."""
    high: str
    npv_low: Decimal
    npv_high: Decimal
    beyond: tuple[str, ...] = ()
    """Why there is no plan farther on."""

    @property
    def width(self) -> Decimal:
        return abs(self.npv_high - self.npv_low)


class Roi(Contract):
    schema_version: Literal[1] = 1
    fleet: str
    model: str
    devices: NonNegativeInt
    currency: str
    years: NonNegativeInt
    alternatives: tuple[Alternative, ...]
    tornado: tuple[Swing, ...]
    """Of flexp, the widest first; empty where it has no plan."""
    assumptions: tuple[Assumption, ...]

    @property
    def best(self) -> Alternative:
        possible = [one for one in self.alternatives if one.possible]
        return max(possible, key=lambda one: one.npv)
