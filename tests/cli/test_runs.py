"""`flexp runs`: what is found, what differs, and what is drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from flexp.cli import runs_plot
from flexp.cli.app import app
from flexp.runtime.run_folder import held
from typer.testing import CliRunner, Result

from ..runtime.conftest import small_config, word_tokenizer
from ..runtime.jobs import run, small_plan

Type = Callable[[str], Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two complete runs, one that was stopped, and what is no run."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(1)
    transformers.AutoModel.from_config(small_config("bert")).save_pretrained(folder / "base")
    word_tokenizer().save_pretrained(folder / "base")
    plan = small_plan(folder / "base")
    run(plan, folder / "first")
    run(plan, folder / "more" / "second", learning_rate=0.02, evaluate_every=2)
    run(plan, folder / "third", stop_after=4)
    (folder / ".hidden").mkdir()
    shutil.copytree(folder / "first", folder / ".hidden" / "copy")
    (folder / "other").mkdir()
    (folder / "other" / "run.json").write_text("{}")
    return folder


@pytest.fixture
def typed(made: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.chdir(made)
    runner = CliRunner(env={"COLUMNS": "80"})
    return lambda line: runner.invoke(app, line.split(), prog_name="flexp")


def test_runs_are_found_oldest_first_with_their_results(typed: Type, made: Path) -> None:
    found = json.loads(typed("runs --json").stdout)
    listed = found["runs"]
    assert [one["folder"] for one in listed] == ["first", "more/second", "third"]
    assert [one["state"] for one in listed] == ["complete", "complete", "stopped"]
    assert [(one["steps_done"], one["steps"]) for one in listed] == [(15, 15), (15, 15), (4, 15)]
    summary = json.loads((made / "first" / "summary.json").read_text())
    after = [client["after"] for client in summary["clients"].values()]
    assert listed[0]["personal"] == pytest.approx(sum(one["personal"] for one in after) / 3)
    assert listed[0]["personal_worst"] == min(one["personal"] for one in after)
    assert listed[0]["overall"] == pytest.approx(sum(one["overall"] for one in after) / 3)
    assert listed[0]["up_bytes"] == sum(one["up_bytes"] for one in summary["clients"].values())
    assert listed[2]["personal"] is None
    assert found["differences"] == {
        "learning_rate": {"first": 0.01, "more/second": 0.02, "third": 0.01},
        "evaluate_every": {"first": None, "more/second": 2, "third": None},
    }


def test_the_table_names_runs_and_differences(typed: Type) -> None:
    result = typed("runs")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert any("first" in line and "15/15" in line and "complete" in line for line in lines)
    assert any("third" in line and "4/15" in line and "stopped" in line for line in lines)
    assert "learning_rate: 0.01 in first, third; 0.02 in more/second" in lines
    alone = typed("runs first").stdout
    assert "third" not in alone and "learning_rate" not in alone


def test_a_run_that_goes_on_and_one_that_can_not_be_read(typed: Type, made: Path) -> None:
    shutil.copytree(made / "third", made / "fourth")
    shutil.copytree(made / "third", made / "fifth")
    (made / "fifth" / "run.json").write_text('{"seed": -1}')
    try:
        with held(made / "fourth"):
            listed = json.loads(typed("runs fourth fifth --json").stdout)["runs"]
    finally:
        shutil.rmtree(made / "fourth")
        shutil.rmtree(made / "fifth")
    assert [one["state"] for one in listed] == ["running", "unreadable"]
    assert listed[1]["problem"].startswith("fifth/run.json:1: plan_hash: Field required")


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("runs nowhere", 3, "nowhere: no such file or folder"),
        ("runs base", 7, "base: no run is here"),
        ("runs --plot picture.gif", 5, "--plot: picture.gif ends in '.gif'"),
    ],
)
def test_wrong_commands(typed: Type, line: str, code: int, says: str) -> None:
    result = typed(line)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert says in result.stderr


def test_a_missing_extra_is_said(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexp.cli.runs.find_spec", lambda name: None)
    result = typed("runs --plot picture.png")
    assert result.exit_code == 13
    assert "--plot needs the extra [report]" in result.stderr


@pytest.mark.parametrize("which", ["", "more", "third"])
def test_pictures(typed: Type, made: Path, tmp_path: Path, which: str) -> None:
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        path = tmp_path / f"picture{suffix}"
        result = typed(f"runs {which} --plot {path}")
        assert result.exit_code == 0, result.output
        assert path.read_bytes().startswith(start)


def test_curves_of_a_run(made: Path) -> None:
    second = runs_plot.read_curves(made / "more" / "second")
    assert [x for x, _ in second.accuracy["ada"]] == [0, 2, 4, 5]
    assert [x for x, _ in second.loss["ada"]] == [1, 2, 3, 4, 5]
    third = runs_plot.read_curves(made / "third")
    assert third.accuracy == {}


def test_smoothing_takes_means_of_equal_windows() -> None:
    points = [(float(x), float(x)) for x in range(40)]
    smoothed = runs_plot.smooth(points)
    assert smoothed[0] == (0.5, 0.5)
    assert len(smoothed) == 20
    assert runs_plot.smooth(points[:7]) == points[:7]


def test_the_mean_goes_as_far_as_all_have_come() -> None:
    slow, fast = [(0.0, 0.0), (2.0, 4.0)], [(0.0, 2.0), (1.0, 2.0), (5.0, 10.0)]
    assert runs_plot.mean_curve([slow, fast]) == [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)]
    assert runs_plot.mean_curve([]) == []
    assert runs_plot.mean_curve([slow]) == slow
