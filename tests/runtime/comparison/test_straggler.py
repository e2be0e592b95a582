"""What a slow client costs the others with the costs of a plan: benchmarks/straggler.py."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from flexp.runtime.algorithms.registry import make_algorithm
from flexp.runtime.fleet_clock import steps_until
from flexp.runtime.scenario import Scenario, Slow

from .offices import small_cell

COURSES = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "straggler.py"))["courses"]
HOUR = 3600.0


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("flexp-sfl", -0.01, 0.05), ("local", 0.0, 0.0), ("splitfed-v2", 0.8, 1), ("fedavg", 0.8, 1)],
)
def test_one_client_20_times_slower(name: str, least: float, most: float) -> None:
    """Of the others' steps an hour: flexp-sfl keeps 95%, and a barrier loses most of them."""
    cell = small_cell(Path("tiny"))
    courses = COURSES(cell, make_algorithm(name, cell.options), 4)
    slow = Scenario(slow=(Slow(client="cy", device=20.0, link=20.0),))
    done = [steps_until(courses, scenario, HOUR) for scenario in (Scenario(), slow)]
    before, after = (sum(steps[client] for client in ("ada", "bo.2")) for steps in done)
    assert least <= 1 - after / before <= most
