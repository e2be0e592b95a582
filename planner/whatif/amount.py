"""A change of a figure as people write it ("+4GiB", "x2", "-10%", "8 GiB"), and sweeps of them."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

from ...catalog.units import parse

MOST_VALUES = 1000
"""Of one sweep."""
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_FACTOR = re.compile(rf"[x×]\s*({_NUMBER})")
_PERCENT = re.compile(rf"([-+])\s*({_NUMBER})\s*%")
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>.+?)(?:/(?P<count>\d+))?")
_END = re.compile(rf"(?P<sign>[-+x×]?)\s*(?P<number>{_NUMBER})\s*(?P<unit>\S*)")


@dataclass(frozen=True)
class Amount:
    """new = old · factor + more."""

    factor: float
    more: float

    def of(self, old: float) -> float:
        return self.factor * old + self.more

    @property
    def relative(self) -> bool:
        """Whether it needs to know what was there before."""
        return self.factor != 0


def parse_amount(text: str, units: dict[str, float]) -> Amount:
    """ "+4GiB" adds, "x2" multiplies, "-10%" takes a tenth away, "8 GiB" replaces.

    Raises ValueError that says what is understood.
    """
    word = text.strip()
    if found := _FACTOR.fullmatch(word):
        return Amount(float(found[1]), 0.0)
    if found := _PERCENT.fullmatch(word):
        share = float(found[2]) / 100
        return Amount(1 + share if found[1] == "+" else 1 - share, 0.0)
    number = parse(word, units or {"": 1.0})
    assert isinstance(number, float)
    return Amount(float(word[:1] in ("+", "-")), number)


def sweep_values(text: str) -> tuple[str, ...]:
    """The values of a sweep: "2GiB,4GiB" lists them, "x0.5..x2/4" spreads four evenly from end to
    end, "1..4" counts; anything else is one value. Raises ValueError."""
    values = [value for part in text.split(",") for value in _range_values(part.strip())]
    if len(values) > MOST_VALUES:
        raise ValueError(f"{len(values):,} values, at most {MOST_VALUES:,} are taken")
    return tuple(values)


def _range_values(text: str) -> list[str]:
    found = _RANGE.fullmatch(text)
    if found is None:
        return [text]
    low, high = (_END.fullmatch(found[end].strip()) for end in ("low", "high"))
    if low is None or high is None:
        raise ValueError(f"a range is LOW..HIGH/COUNT, as in x0.5..x2/4, found {text!r}")
    unit = high["unit"] or low["unit"]
    alike = low["unit"] in ("", unit) and (low["sign"] == "x") == (high["sign"] == "x")
    signed = bool(low["sign"]) == bool(high["sign"])
    if not (alike and signed):
        raise ValueError(f"both ends of {text!r} need the same form, as in +1GiB..+4GiB/4")
    first, last = _signed(low), _signed(high)
    count = int(found["count"]) if found["count"] else _whole_steps(text, first, last, unit)
    if not 2 <= count <= MOST_VALUES:
        raise ValueError(f"{text!r} needs 2 to {MOST_VALUES:,} values")
    values = [first + (last - first) * step / (count - 1) for step in range(count)]
    if low["sign"] in ("x", "×"):
        return [f"x{value:.6g}" for value in values]
    style = "+.6g" if low["sign"] else ".6g"
    return [f"{value:{style}}{unit}" for value in values]


def _signed(end: re.Match[str]) -> float:
    return -float(end["number"]) if end["sign"] == "-" else float(end["number"])


def _whole_steps(text: str, first: float, last: float, unit: str) -> int:
    if unit or not (first.is_integer() and last.is_integer()) or last <= first:
        raise ValueError(f"say how many values {text!r} has, as in {text}/5")
    return round(last - first) + 1


def product_of(sweeps: dict[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Every combination of one value of each; raises ValueError for too many."""
    if (total := math.prod(map(len, sweeps.values()))) > MOST_VALUES:
        raise ValueError(f"the sweeps make {total:,} scenarios, at most {MOST_VALUES:,} are taken")
    return [
        dict(zip(sweeps, values, strict=True)) for values in itertools.product(*sweeps.values())
    ]
