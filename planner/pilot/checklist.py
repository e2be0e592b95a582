"""The checklist of a pilot: what is expected, from when on it stops, and what was measured."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from ...catalog.files import Contract

Verdict = Literal["go", "conditional", "stop", "open"]
Decision = Literal["go", "no-go", "conditional"]


class Member(Contract):
    """One device of the pilot."""

    name: str
    """The client, or the first member of its class that does this."""
    device: str
    link: str
    stands_for: tuple[str, ...]
    devices: PositiveInt
    """Of the fleet, with this device and link."""
    depth: PositiveInt
    codec: str
    batch: PositiveInt
    steps: PositiveInt
    hours: NonNegativeFloat
    """Of training, for its steps."""


class Check(Contract):
    """One figure to measure; fill in `measured`."""

    id: str
    who: str
    """A device of the pilot, or all."""
    what: str
    unit: str
    expected: float
    go: float
    """Go on as long as it is not worse than this."""
    stop: float
    """Stop where it is worse than this."""
    better: Literal["less", "more"] = "less"
    because: str
    """Where the thresholds come from."""
    measured: float | None = None

    @property
    def verdict(self) -> Verdict:
        if self.measured is None or math.isnan(self.measured):
            return "open"
        sign = 1 if self.better == "less" else -1
        if sign * self.measured <= sign * self.go:
            return "go"
        return "stop" if sign * self.measured > sign * self.stop else "conditional"


class Outcome(Contract):
    decision: Decision
    reasons: tuple[str, ...]


class Pilot(Contract):
    schema_version: Literal[1] = 1
    fleet: str
    model: str
    devices: NonNegativeInt
    """Of the whole fleet."""
    binding_links: tuple[str, ...]
    members: tuple[Member, ...]
    least_steps: PositiveInt
    """Of each device, for means that are good to 5%."""
    least_days: PositiveInt
    hours_per_day: float
    checks: tuple[Check, ...]
    assumptions: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """no-go where anything must stop; conditional where something is between its thresholds or
        not measured; else go. With the checks that decide."""
        by_verdict = {verdict: self._of(verdict) for verdict in get_args(Verdict)}
        if found := by_verdict["stop"]:
            return Outcome(decision="no-go", reasons=tuple(map(_reason, found)))
        reasons = list(map(_reason, by_verdict["conditional"]))
        if left := by_verdict["open"]:
            names = ", ".join(check.id for check in left[:4]) + (", ..." if len(left) > 4 else "")
            count = f"{len(left)} of {len(self.checks)} figures are not measured"
            reasons.append(f"{count}: {names}")
        if reasons:
            return Outcome(decision="conditional", reasons=tuple(reasons))
        return Outcome(decision="go", reasons=("every figure is within its threshold",))

    def _of(self, verdict: Verdict) -> list[Check]:
        return [check for check in self.checks if check.verdict == verdict]

    def filled(self, measured: dict[str, float]) -> Pilot:
        """With figures by the id of their check; others stay as they are."""
        checks = tuple(
            check.model_copy(update={"measured": measured.get(check.id, check.measured)})
            for check in self.checks
        )
        return self.model_copy(update={"checks": checks})


def _reason(check: Check) -> str:
    limit = check.stop if check.verdict == "stop" else check.go
    word = "more" if check.better == "less" else "less"
    measured = f"{check.measured:.4g} {check.unit}".strip()
    return f"{check.id}: {measured}, {word} than {limit:g}"
