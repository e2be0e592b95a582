"""`flexp roi`: 80 columns, every figure with what it rests on, files as asked."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from flexp.catalog.files import read_contract
from flexp.planner.roi.costs import DEFAULTS, read_costs
from flexp.planner.roi.result import Roi

from .conftest import Type

ROI = ("roi", "fleet.yaml", "--profile", "profile.json", "--time-limit", "3")
COSTS = """\
schema_version: 1
currency: GBP
exchange: {EUR: 0.85, USD: 0.8}
value_per_task: 2.50
server_per_hour: 1.20
"""


def test_table_lines_and_assumptions(typed: Type, folder: Path) -> None:
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    result = typed(*ROI, "--costs", "costs.yaml", "-o", "out.yaml")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    made = read_contract(Roi, folder / "out.yaml")
    assert (made.currency, made.devices) == ("GBP", 2)
    for words in ("no model", "central fine-tuning", "fedavg, new devices", "FlexP-SFL", "GBP"):
        assert words in result.stdout
    for one in made.alternatives:
        for line in one.lines:
            assert f"{line.amount:,.2f}" in result.stdout and line.assumes
    for assumption in made.assumptions:
        assert assumption.name in result.stdout
    assert "● value_per_task" in result.stdout and "● hour_of_work" not in result.stdout
    assert f"best of these: {'FlexP-SFL' if made.best.kind == 'flexp' else ''}" in result.stdout


def test_a_fleet_without_a_plan(typed: Type, folder: Path) -> None:
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    path = folder / "fleet.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("usable_memory_bytes: 2 GiB", "usable_memory_bytes: 401 MiB"))
    result = typed(*ROI, "--costs", "costs.yaml")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "no plan" in result.stdout and "FlexP-SFL: right" in result.stdout


def test_the_template_is_the_default(typed: Type, folder: Path) -> None:
    printed = typed("catalog", "costs").stdout
    assert printed == DEFAULTS.read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(printed, encoding="utf-8")
    assert read_costs(folder / "mine.yaml").given == read_costs(None).given


def test_json_alone(typed: Type, folder: Path) -> None:
    (folder / "costs.yaml").write_text(COSTS, encoding="utf-8")
    result = typed(*ROI, "--costs", "costs.yaml", "--json")
    made = Roi.model_validate(json.loads(result.stdout))
    assert (made.alternatives[0].npv, made.currency) == (Decimal(0), "GBP")
