"""The worked examples of docs/fleet.md are read, and all their clients can take part."""

from __future__ import annotations

from pathlib import Path

import pytest
from flexp.planner.fleet_summary import summarise
from flexp.planner.resolve import read_fleet
from flexp.profiler.profile import Profile

EXAMPLES = Path(__file__).parents[2] / "examples"
MEMBERS = {"office-8": 8, "region-16": 16, "factory-200": 200, "field-10000": 10_000}


def test_every_example_is_here() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.yaml")}
    assert names == {*MEMBERS, "quickstart", "field-devices"}


@pytest.mark.parametrize("name", MEMBERS)
def test_examples_are_read(name: str, profile: Profile) -> None:
    fleet = read_fleet(EXAMPLES / f"{name}.yaml")
    found = summarise(fleet, profile)
    assert (fleet.name, fleet.members, found.totals.clients) == (name, MEMBERS[name], MEMBERS[name])
    unfit = [text for text in found.warnings if "needs" in text or "overloads" in text]
    assert unfit == []
