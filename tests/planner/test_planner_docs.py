"""docs/planner.md and the code: the same labels, metrics and files."""

from __future__ import annotations

import re
from pathlib import Path

from flexp.planner import objective, program

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "planner.md").read_text(encoding="utf-8")
LABEL = r"C\d_[a-z]+(?:_[a-z]+)*"


def test_labels_are_those_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "planner").glob("*.py"))
    in_code = set(re.findall(f'"({LABEL})"', code))
    assert set(re.findall(LABEL, TEXT)) == in_code
    assert set(program.LABELS) < in_code


def test_every_constraint_has_a_row() -> None:
    rows = re.findall(f"^\\| ({LABEL}) \\|", TEXT, re.MULTILINE)
    assert set(re.findall(LABEL, TEXT)) - {"C0_inputs"} == set(rows)


def test_every_metric_has_a_row() -> None:
    table = TEXT.split("## Objectives")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(objective.METRICS)


def test_files_exist() -> None:
    named = re.findall(r"`((?:planner|profiler)/[\w/]+\.py)`", TEXT)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
