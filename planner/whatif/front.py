"""Pareto fronts: plans of which none is better at one metric without being worse at the other.

Points come from one objective after another: the least time, and the other metric while the time
is missed by a growing share. Strategies without an optimizer are put beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...catalog.files import Contract
from ...errors import FlexpError, InfeasibleError
from ...profiler.profile import Profile
from ..checker import violations
from ..fleet import ResolvedFleet
from ..objective import METRICS, parse_objective
from ..objective_value import objective_value
from ..plan import Plan
from ..solve import NoPlan, Wanted, find_plan
from ..strategies import plan_by
from ..value import ValueCurve

SLACKS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0)
"""Shares by which the time may be missed."""


class Point(Contract):
    mark: str
    """optimized (the least time), front, static or memory-only."""
    time: float
    """Seconds of everyone's round, by weight."""
    other: float
    """Of the front's other metric; less is better."""
    mean_depth: float
    on_front: bool
    """Nothing else is as good at both and better at one."""
    broken: tuple[str, ...] = ()
    """Labels of the limits that a strategy breaks."""


class Front(Contract):
    metric: str
    unit: str
    meaning: str
    points: tuple[Point, ...]
    """By time."""
    missed: tuple[str, ...] = ()
    """Shares of time for which no plan was found in the time: the front may go through there."""


def front(
    metric: str,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    wanted: Wanted,
    on_done: Callable[[str], None] = lambda step: None,
) -> Front:
    """Of `total` against `metric`. Raises FlexpError where there is no plan."""
    found: list[tuple[str, Plan, tuple[str, ...]]] = []
    missed: list[str] = []
    for slack in SLACKS:
        on_done(f"{metric}, {slack:.0%} slower")
        asked = replace(wanted, objective=f"total,{metric}" if slack else "total", slack=slack)
        try:
            plan = find_plan(profiles, fleet, asked)
        except FlexpError:
            if not found:
                raise
            missed.append(f"{slack:.0%}")
            continue
        if isinstance(plan, NoPlan):
            raise InfeasibleError("no plan exists: `flexp plan` says why")
        found.append(("front" if slack else "optimized", plan, ()))
    for strategy in ("static", "memory-only"):
        try:
            plan = plan_by(strategy, profiles, fleet)
        except InfeasibleError:
            continue
        labels = dict.fromkeys(
            label for label, _ in violations(plan, profiles, fleet, wanted.curve)
        )
        found.append((strategy, plan, tuple(labels)))
    points = [_point(*one, metric, fleet, wanted.curve) for one in found]
    return Front(
        metric=metric,
        unit=METRICS[metric].unit,
        meaning=METRICS[metric].meaning,
        missed=tuple(missed),
        points=tuple(sorted(_distinct(_marked(points)), key=lambda p: (p.time, p.other))),
    )


def _point(
    mark: str,
    plan: Plan,
    broken: tuple[str, ...],
    metric: str,
    fleet: ResolvedFleet,
    curve: ValueCurve,
) -> Point:
    (time,), (other,) = parse_objective("total"), parse_objective(metric)
    blocks = sum(entry.count * (entry.depth + entry.top) for entry in plan.clients)
    return Point(
        mark=mark,
        time=objective_value(time, plan, fleet, curve),
        other=objective_value(other, plan, fleet, curve),
        mean_depth=blocks / plan.devices if plan.devices else 0.0,
        on_front=False,
        broken=broken,
    )


def _marked(points: Sequence[Point]) -> list[Point]:
    """Those that break limits are never on the front."""
    able = [point for point in points if not point.broken]

    def beaten(point: Point) -> bool:
        return any(
            one.time <= point.time
            and one.other <= point.other
            and (one.time < point.time or one.other < point.other)
            for one in able
        )

    return [
        point.model_copy(update={"on_front": not point.broken and not beaten(point)})
        for point in points
    ]


def _distinct(points: Sequence[Point]) -> list[Point]:
    """Without points of the front that repeat another one's values."""
    seen: set[tuple[float, float]] = set()
    kept = []
    for point in points:
        values = (float(f"{point.time:.6g}"), float(f"{point.other:.6g}"))
        if point.mark != "front" or values not in seen:
            kept.append(point)
        seen.add(values)
    return kept
