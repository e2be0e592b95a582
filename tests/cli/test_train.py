"""`flexp train` as typed, on a small model and rows in a file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from flexp.catalog.files import write_contract
from flexp.cli.app import app
from typer.testing import CliRunner, Result

from ..runtime.conftest import small_config, word_tokenizer
from ..runtime.jobs import CLIENTS, metrics, small_plan, with_depths, with_rounds, write_csv

Type = Callable[[str], Result]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    transformers.AutoModel.from_config(small_config("bert")).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    plan = small_plan(model)
    write_contract(plan, tmp_path / "plan.yaml")
    write_contract(with_depths(plan, 3, 2, 1), tmp_path / "other.yaml")
    write_csv(tmp_path / "rows.csv")
    return tmp_path


@pytest.fixture
def typed(folder: Path) -> Type:
    runner = CliRunner(env={"COLUMNS": "80"})
    return lambda line: runner.invoke(app, line.split(), prog_name="flexp")


TRAIN = "train plan.yaml --data rows.csv -o run"


def test_a_run_without_a_terminal_says_a_line_now_and_then(typed: Type, folder: Path) -> None:
    result = typed(TRAIN)
    assert result.exit_code == 0, result.output
    assert "try it          flexp predict run ada" in result.stdout
    for said in ("Rows of each client", "ada: step 5 of 5, depth 1, loss", "waited"):
        assert said in result.stderr
    quiet = typed(f"{TRAIN}2 --quiet --json")
    assert quiet.stderr == ""
    summary = json.loads(quiet.stdout)
    assert list(summary["clients"]) == list(CLIENTS)
    assert summary["clients"]["ada"]["data"]["classes"]


def test_a_complete_run_is_shown_again(typed: Type) -> None:
    first = json.loads(typed(f"{TRAIN} --json").stdout)
    again = typed("train --resume -o run --json")
    assert json.loads(again.stdout) == first
    assert "the run in run is complete" in again.stderr


def test_columns_and_a_partition_by_column(typed: Type, folder: Path) -> None:
    text = (folder / "rows.csv").read_text().replace("text,label,client", "Body,Topic,Site")
    (folder / "other.csv").write_text(text)
    words = "train plan.yaml --data other.csv --columns text=Body,label=Topic -q"
    assert typed(f"{words} --partition by:Site -o by").exit_code == 0
    assert typed(f"{TRAIN} -q").exit_code == 0
    assert metrics(folder / "by") == metrics(folder / "run")
    settings = json.loads((folder / "by" / "run.json").read_text())
    assert settings["columns"] == {"text": "Body", "label": "Topic"}
    assert settings["partition"] == "by:Site"


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (f"{TRAIN} --columns txt=Body", 5, "--columns: 'txt=Body'"),
        (f"{TRAIN} --partition by:Site", 5, "rows.csv:2: no column 'Site' for the client"),
        (f"{TRAIN} --plan other.yaml", 5, "--plan: has no effect without --resume"),
        (f"{TRAIN} --allow-adapter-upload", 5, "--allow-adapter-upload: has no effect"),
        ("train plan.yaml --resume --plan other.yaml -o run", 5, "two plans are given"),
        ("train --resume -o run", 3, "run.json"),
        ("train --data rows.csv", 5, "no plan is given"),
        ("train plan.yaml -o run", 5, "--data is not given"),
    ],
)
def test_wrong_commands(typed: Type, folder: Path, line: str, code: int, says: str) -> None:
    result = typed(line)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert says in result.stderr
    assert not (folder / "run").exists()


def interrupted(
    folder: Path, steps: int, number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """A real process, sent `number` once it has taken some steps."""
    words = [sys.executable, "-m", "flexp", *TRAIN.split(), "--checkpoint-every", "1"]
    process = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(metrics(folder / "run")) < steps and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(number)
    out, said = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, said)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    typed: Type, folder: Path, model: Path, number: signal.Signals
) -> None:
    long = with_rounds(small_plan(model), 60)
    write_contract(long, folder / "plan.yaml")
    done = interrupted(folder, 3, number)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.endswith("stopped; continue with: flexp train --resume -o run\n")
    assert "Traceback" not in done.stderr
    assert 3 <= len(metrics(folder / "run")) < 180
    assert typed("train --resume -o run -q").exit_code == 0
    assert typed(f"{TRAIN}2 -q").exit_code == 0
    assert metrics(folder / "run") == metrics(folder / "run2")


def test_depths_change_on_resume(
    typed: Type, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flexp.cli.train_display import View

    with monkeypatch.context() as patch:
        stepped = View.stepped

        def stop_at_five(self: View, record: object, total: int) -> None:
            stepped(self, record, total)  # type: ignore[arg-type]
            if record.step == 4:  # type: ignore[attr-defined]
                signal.raise_signal(signal.SIGINT)

        patch.setattr(View, "stepped", stop_at_five)
        stopped = typed(f"{TRAIN} -q")
    assert stopped.exit_code == 130
    assert typed("train other.yaml --resume -o run").exit_code == 10
    result = typed("train --resume --plan other.yaml -o run --json")
    assert result.exit_code == 0, result.output
    assert "cy: depth 3 > 1" in result.stderr
    moves = json.loads(result.stdout)["moves"]
    assert [(move["client"], move["depth"], move["adapters"]) for move in moves] == [
        ("ada", 3, "received"),
        ("cy", 1, "left"),
    ]
    assert "complete" in typed("train --resume --plan plan.yaml -o run").stderr
