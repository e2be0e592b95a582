"""`flexp pilot`: a checklist as table, JSON and Markdown, filled by hand and by a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from flexp.catalog.files import read_contract
from flexp.planner.pilot.checklist import Pilot
from flexp.runtime import run_folder

from .conftest import Type

PILOT = ("pilot", "fleet.yaml", "--profile", "profile.json")


def test_checklist(typed: Type, folder: Path) -> None:
    result = typed(*PILOT, "-o", "pilot.yaml", "--markdown", "pilot.md")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    made = read_contract(Pilot, folder / "pilot.yaml")
    assert [one.name for one in made.members] == ["left", "right"]
    for check in made.checks:
        assert check.id in result.stdout
        assert f"`{check.id}`" in (folder / "pilot.md").read_text(encoding="utf-8")
    assert "conditional: " in result.stdout


def test_filled_in(typed: Type, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(*PILOT, "-o", "pilot.json")
    made = read_contract(Pilot, folder / "pilot.json")
    moved = {check.who: check.expected for check in made.checks if check.id.endswith("bytes")}
    clients = {
        name: SimpleNamespace(
            up_bytes_per_step=SimpleNamespace(measured=moved[name] * 4e5),
            down_bytes_per_step=SimpleNamespace(measured=moved[name] * 6e5),
            steps_planned=100,
            steps=steps,
            before=SimpleNamespace(personal=0.5),
            after=SimpleNamespace(personal=0.75),
        )
        for name, steps in (("left", 100), ("right", 90))
    }
    monkeypatch.setattr(run_folder, "completed", lambda path: SimpleNamespace(clients=clients))
    by_hand = [f"{c.id}={c.expected}" for c in made.checks if c.id.endswith(("memory", "step"))]
    words = [word for text in [*by_hand, "all.server=0.2"] for word in ("--measured", text)]
    result = typed("pilot", "--checklist", "pilot.json", "--run", "run", *words, "--json")
    assert result.exit_code == 0, result.output
    filled = Pilot.model_validate(json.loads(result.stdout))
    measured = {check.id: check.measured for check in filled.checks}
    assert measured["all.lost"] == pytest.approx(0.05)
    assert measured["all.gain"] == pytest.approx(0.25)
    assert measured["left.bytes"] == pytest.approx(moved["left"])
    assert filled.outcome.decision == "go"
    result = typed("pilot", "--checklist", "pilot.json", "--measured", "all.lost=0.4")
    assert "no-go: all.lost: 0.4, more than 0.3" in result.stdout


def test_a_run_that_has_not_ended(typed: Type, folder: Path) -> None:
    typed(*PILOT, "-o", "pilot.json")
    result = typed("pilot", "--checklist", "pilot.json", "--run", ".")
    assert result.exit_code != 0 and "Traceback" not in result.output
