"""A study of a small fleet."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.roi.costs import read_costs
from flexp.planner.roi.lines import Setting
from flexp.planner.roi.study import Study
from flexp.planner.solve import Wanted
from flexp.planner.value import DEFAULT_CURVE
from flexp.planner.whatif.evaluate import Bench

from ..conftest import device, fleet, link, minilm


def of(*counts: int) -> ResolvedFleet:
    """Classes of equal laptops."""
    made = fleet([(f"c{i}", device("laptop", 60), link("lan")) for i in range(len(counts))])
    pairs = zip(made.clients, counts, strict=True)
    clients = tuple(client.model_copy(update={"count": count}) for client, count in pairs)
    return made.model_copy(update={"clients": clients})


@pytest.fixture(scope="session")
def study() -> Study:
    profile = minilm(3)
    made = of(2, 2)
    bench = Bench({(None, None): {16: profile}}, Wanted(time_limit_seconds=1))
    server = made.server.model_copy(update={"cost_per_hour": 0.5})
    made = made.model_copy(update={"servers": (server,)})
    dear = read_costs(None).scaled(Decimal(8), ("value_per_task",))
    return Study(Setting(profile, made, dear, DEFAULT_CURVE), bench)
