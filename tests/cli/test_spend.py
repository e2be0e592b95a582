"""`flexp spend`: 80 columns, ranked, and the smallest purchase where there is no plan."""

from __future__ import annotations

from pathlib import Path

from flexp.catalog.files import read_contract
from flexp.planner.whatif.spend import Spend

from .conftest import Type

SPEND = ("spend", "fleet.yaml", "--profile", "profile.json", "--costs", "costs.yaml", "--jobs", "1")
COSTS = "schema_version: 1\nserver: owned\nserver_price: 900\naccelerator_price: 300\n"


def test_ranked(typed: Type, folder: Path) -> None:
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    result = typed(*SPEND, "--time-limit", "2", "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    made = read_contract(Spend, folder / "out.yaml")
    assert len(made.ranked) == 2 + 1 + 3 + 1
    rows = [result.stdout.index(one.name.split(" (")[0]) for one in made.ranked]
    assert rows == sorted(rows)
    assert "● accelerator_price" in result.stdout and "memory_per_gib" in result.stdout


def test_smallest_purchase(typed: Type, folder: Path) -> None:
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    path = folder / "fleet.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("usable_memory_bytes: 2 GiB", "usable_memory_bytes: 401 MiB"))
    result = typed(*SPEND)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "infeasible" in result.stdout and "+1 GiB for board (1)" in result.stdout
    assert "nothing cheaper" in result.stdout
