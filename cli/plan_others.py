"""What `flexp plan --alternatives` prints: plans that are almost as good, and better elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import render
from .plan_display import figure

if TYPE_CHECKING:
    from ..planner.explanation import Alternative
    from ..planner.fleet import ResolvedFleet
    from ..planner.plan import Plan
    from ..planner.solve import Wanted
    from ..profiler.profile import Profile


def find(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    wanted: Wanted,
    epsilon: float,
    made: Plan,
) -> tuple[Alternative, ...]:
    from ..planner.alternatives import alternatives

    with render.spinner("looking for alternatives"):
        return alternatives(profiles, fleet, wanted, epsilon, made)


def print_json(others: Sequence[Alternative]) -> None:
    found = [other.model_dump(mode="json") for other in others]
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def show(others: Sequence[Alternative], made: Plan) -> None:
    from ..planner.objective import METRICS

    to = render.console()
    to.print()
    if not others:
        to.print("no alternative is better at anything")
        return
    first = made.objectives[0].name
    table = render.table(
        *("best at", ">there", ">change", f">{first}", ">clients"),
        title="Alternatives",
        caption=f"{first}: its change; clients: those that do something else",
    )
    for other in others:
        for metric in other.best_at:
            table.add_row(
                metric,
                figure(other.metrics[metric], METRICS[metric].unit),
                f"{other.change[metric]:+.1%}",
                f"{other.change[first]:+.1%}" if first in other.change else "",
                f"{other.clients_changed:,}",
            )
    to.print(table)
