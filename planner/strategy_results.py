"""A plan beside what its fleet would get without an optimizer."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InfeasibleError
from ..profiler.profile import Profile
from .checker import violations
from .explanation import StrategyResult
from .fleet import ResolvedFleet
from .objective import ABSENT, parse_objective
from .objective_value import objective_value
from .plan import STRATEGIES, Plan, Strategy, round_seconds
from .strategies import plan_by, shorten
from .value import DEFAULT_CURVE, ValueCurve


def compare(
    plan: Plan,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    curve: ValueCurve = DEFAULT_CURVE,
) -> tuple[StrategyResult, ...]:
    """The plan beside what its fleet would get from the strategies without an optimizer, by the
    first objective that is about those who take part."""
    (objective,) = parse_objective(next(o.name for o in plan.objectives if o.name != ABSENT))
    results = []
    for strategy in dict.fromkeys((plan.strategy, *STRATEGIES)):
        if strategy == plan.strategy:
            made = plan
        elif strategy == "optimized":
            continue
        else:
            try:
                made = plan_by(strategy, profiles, fleet)
            except InfeasibleError as error:
                results.append(_no_plan(strategy, error.message))
                continue
        broken = list(violations(made, profiles, fleet, curve))
        results.append(
            StrategyResult(
                strategy=strategy,
                value=objective_value(objective, made, fleet, curve),
                slowest_seconds=max((round_seconds(c, made) for c in made.clients), default=0.0),
                server_utilisation=max(server.utilisation for server in made.servers),
                server_memory_bytes=max(server.peak_memory_bytes for server in made.servers),
                broken=tuple(line.strip() for line in shorten(broken).splitlines()),
            )
        )
    return tuple(results)


def _no_plan(strategy: Strategy, reason: str) -> StrategyResult:
    return StrategyResult(
        strategy=strategy,
        value=None,
        slowest_seconds=None,
        server_utilisation=None,
        server_memory_bytes=None,
        broken=(reason,),
    )
