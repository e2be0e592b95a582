"""`flexp whatif`: 80 columns, both sides, files as asked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from flexp.catalog.files import read_contract
from flexp.planner.whatif.outcome import WhatIf

from .conftest import Type

WHATIF = ("whatif", "fleet.yaml", "--profile", "profile.json")
SCENARIOS = """\
schema_version: 1
scenarios:
  - name: more memory
    set: {board.ram: +4GiB}
  - name: too little memory
    set: {board.memory: 410 MiB}
  - name: wires
    set: {links.wire.up: x0.5..x2/2}
"""


def test_one_scenario_side_by_side(typed: Type, folder: Path) -> None:
    result = typed(*WHATIF, "--set", "right.speed=x10", "--add", "2:board", "-o", "out.json")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    made = read_contract(WhatIf, folder / "out.json")
    (one,) = made.scenarios
    assert one.changes == ("right.speed=x10", "add 2:board")
    assert made.baseline.figures is not None and one.figures is not None
    assert (made.baseline.figures.devices, one.figures.devices) == (2, 4)
    assert one.difference["devices"] == 2
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "+100.0%" in lines["devices"]
    assert all(name in result.stdout for name in ("desk", "board", "new-board", "slowest: "))
    assert "assumed" in result.stdout and "2 board: on wire" in result.stdout
    assert result.stderr.endswith("wrote out.json\n")


def test_a_file_and_a_sweep(typed: Type, folder: Path) -> None:
    (folder / "scenarios.yaml").write_text(SCENARIOS, encoding="utf-8")
    result = typed(*WHATIF, "--scenarios", "scenarios.yaml", "--servers", "2", "--csv", "out.csv")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO((folder / "out.csv").read_text(encoding="utf-8"))))
    assert [row["scenario"] for row in rows] == [
        *("baseline", "more memory", "too little memory"),
        *("wires: links.wire.up=x0.5", "wires: links.wire.up=x2", "servers 2"),
    ]
    assert [row["status"] == "infeasible" for row in rows] == [
        name == "too little memory" for name in (row["scenario"] for row in rows)
    ]
    assert "right" in rows[2]["why"] and rows[2]["devices"] == ""
    assert "servers 2" in result.stdout and "links.wire.up=x2" in result.stdout


def test_json_alone(typed: Type) -> None:
    result = typed(*WHATIF, "--set", "run.hours_per_day=8", "--json")
    made = WhatIf.model_validate(json.loads(result.stdout))
    (one,) = made.scenarios
    assert made.baseline.figures is not None and one.figures is not None
    assert one.figures.finish_days == pytest.approx(3 * made.baseline.figures.finish_days)
    assert one.figures.finish_hours == made.baseline.figures.finish_hours
