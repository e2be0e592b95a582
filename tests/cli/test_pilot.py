"""`flexp pilot`: a checklist as table, JSON and Markdown, filled by hand and by a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from flexp.catalog.files import read_contract, write_contract
from flexp.planner.pilot.checklist import Pilot
from flexp.planner.plan import read_plan
from flexp.runtime import check, run_folder
from flexp.runtime.records import TrainSettings
from typer.testing import Result

from .conftest import Type

PILOT = ("pilot", "fleet.yaml", "--profile", "profile.json")


def test_checklist(typed: Type, folder: Path) -> None:
    result = typed(*PILOT, "-o", "pilot.yaml", "--markdown", "pilot.md")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    made = read_contract(Pilot, folder / "pilot.yaml")
    assert [one.name for one in made.members] == ["left", "right"]
    for one in made.checks:
        assert one.id in result.stdout
        assert f"`{one.id}`" in (folder / "pilot.md").read_text(encoding="utf-8")
    assert "conditional: " in result.stdout


@pytest.fixture
def made(typed: Type, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pilot:
    """A checklist, pilot.json, and a run of its plan in run/: bytes as planned, 10 of 200 steps
    lost, a second a step of which the server has a quarter, and 300 MiB for a client's process."""
    typed(*PILOT, "-o", "pilot.json", "--plan", "run/plan.yaml")
    made = read_contract(Pilot, folder / "pilot.json")
    write_contract(
        TrainSettings(plan_hash="0", data="toy", data_hash="1", model="tiny", steps=100),
        folder / "run" / "run.json",
    )
    moved = {one.who: one.expected for one in made.checks if one.id.endswith("bytes")}
    clients = {
        name: SimpleNamespace(
            up_bytes_per_step=SimpleNamespace(measured=moved[name] * 4e5),
            down_bytes_per_step=SimpleNamespace(measured=moved[name] * 6e5),
            steps_planned=100,
            steps=steps,
            skipped_steps=0,
            step_seconds=steps * 1.0,
            waiting_seconds=steps * 0.25,
            before=SimpleNamespace(personal=0.5),
            after=SimpleNamespace(personal=0.75),
        )
        for name, steps in (("left", 100), ("right", 90))
    }
    monkeypatch.setattr(run_folder, "completed", lambda path: SimpleNamespace(clients=clients))
    monkeypatch.setattr(check, "measure", lambda case: 300 * 2**20)
    return made


def figures(result: Result) -> dict[str, float | None]:
    assert result.exit_code == 0, result.output
    return {one.id: one.measured for one in Pilot.model_validate(json.loads(result.stdout)).checks}


def test_filled_in(typed: Type, made: Pilot) -> None:
    by_hand = [f"{c.id}={c.expected}" for c in made.checks if c.id.endswith(("memory", "step"))]
    words = [word for text in [*by_hand, "all.server=0.2"] for word in ("--measured", text)]
    result = typed("pilot", "--checklist", "pilot.json", "--run", "run", *words, "--json")
    found = figures(result)
    assert found["all.lost"] == pytest.approx(0.05)
    assert found["all.gain"] == pytest.approx(0.25)
    expected = {one.id: one.expected for one in made.checks}
    assert found["left.bytes"] == pytest.approx(expected["left.bytes"])
    assert Pilot.model_validate(json.loads(result.stdout)).outcome.decision == "go"
    result = typed("pilot", "--checklist", "pilot.json", "--measured", "all.lost=0.4")
    assert "no-go: all.lost: 0.4, more than 0.3" in result.stdout


def test_what_a_machine_knows_of_itself(typed: Type, folder: Path, made: Pilot) -> None:
    run = ("pilot", "--checklist", "pilot.json", "--run", "run", "--json")
    found = figures(typed(*run))
    own = [one.id for one in made.checks if one.id.endswith(("step", "memory", "server"))]
    assert len(own) == 5 and {found[name] for name in own} == {None}
    found = figures(typed(*run, "--here", "right"))
    assert found["right.memory"] == 300 and found["left.memory"] is found["left.step"] is None
    planned = {one.name: one.predicted for one in read_plan(folder / "run" / "plan.yaml").clients}
    right = planned["right"]
    rest = right.step_seconds - right.wait_seconds - right.device_seconds
    assert rest > 0 and found["right.step"] == pytest.approx(0.75 + rest)
    found = figures(typed(*run, "--here", "server"))
    expected = next(one.expected for one in made.checks if one.id == "all.server")
    seconds = 100 * planned["left"].server_seconds + 90 * right.server_seconds
    assert found["all.server"] == pytest.approx(expected * 190 * 0.25 / seconds)


def test_the_plan_of_the_pilot(typed: Type, folder: Path, made: Pilot) -> None:
    plan = read_plan(folder / "run" / "plan.yaml")
    assert {one.name: (one.depth, one.batch, one.count) for one in plan.clients} == {
        one.name: (one.depth, one.batch, 1) for one in made.members
    }
    assert plan.bottleneck in {one.name for one in made.members}


MISTAKES = {
    "here without a run": ("--checklist pilot.json --here left", "which run was made here"),
    "nobody": ("--checklist pilot.json --run run --here cat", "'cat' is no device of the pilot"),
    "plan of a checklist": ("--checklist pilot.json --plan p.yaml", "a checklist holds no plan"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str, typed: Type, made: Pilot) -> None:
    words, says = MISTAKES[case]
    result = typed("pilot", *words.split())
    assert result.exit_code == 5 and says in result.stderr, result.output


def test_clients_that_stepped_together(typed: Type, folder: Path, made: Pilot) -> None:
    path = folder / "run" / "run.json"
    path.write_text(path.read_text().replace('"together": 1', '"together": 2'))
    run = ("pilot", "--checklist", "pilot.json", "--run", "run", "--json")
    assert figures(typed(*run, "--here", "left"))["left.step"] is not None
    result = typed(*run, "--here", "server")
    assert result.exit_code != 0 and "2 clients stepped together" in result.stderr


def test_a_run_of_another_plan(typed: Type, folder: Path, made: Pilot) -> None:
    path = folder / "run" / "plan.yaml"
    path.write_text(path.read_text().replace(f"depth: {made.members[0].depth}", "depth: 1", 1))
    result = typed("pilot", "--checklist", "pilot.json", "--run", "run")
    assert result.exit_code != 0 and "trained at depth 1 and batch 16" in result.stderr


def test_a_run_that_has_not_ended(typed: Type, folder: Path) -> None:
    typed(*PILOT, "-o", "pilot.json")
    result = typed("pilot", "--checklist", "pilot.json", "--run", ".")
    assert result.exit_code != 0 and "Traceback" not in result.output
