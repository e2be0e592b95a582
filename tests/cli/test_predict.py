"""`flexp predict` and `flexp export` on a run, as typed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from flexp.cli.app import app
from typer.testing import CliRunner, Result

from ..runtime.conftest import small_config, word_tokenizer
from ..runtime.jobs import run, small_plan

Type = Callable[[str], Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run, and rows to try it on."""
    folder = tmp_path_factory.mktemp("predict")
    torch.manual_seed(1)
    transformers.AutoModel.from_config(small_config("bert")).save_pretrained(folder / "base")
    word_tokenizer().save_pretrained(folder / "base")
    run(small_plan(folder / "base"), folder / "run")
    run(small_plan(folder / "base"), folder / "adjusted", label_prior=True)
    (folder / "rows.csv").write_text("Body,label\nw1 w2,class-0\nw21 [w22],\nw41,class-2\n")
    (folder / "bare.csv").write_text("text\nw1 w2\n")
    return folder


@pytest.fixture
def typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.chdir(folder)
    runner = CliRunner(env={"COLUMNS": "80"})
    return lambda line: runner.invoke(app, line.split(), prog_name="flexp")


def test_json_and_csv_say_the_same(typed: Type) -> None:
    words = "predict run ada --data rows.csv --columns text=Body"
    made = json.loads(typed(f"{words} --json").stdout)
    rows = list(csv.DictReader(io.StringIO(typed(f"{words} --csv").stdout)))
    assert [row["text"] for row in rows] == ["w1 w2", "w21 [w22]", "w41"]
    assert [row["label"] for row in rows] == [one["label"] for one in made["predictions"]]
    assert [row["truth"] for row in rows] == ["class-0", "", "class-2"]
    for row, one in zip(rows, made["predictions"], strict=True):
        assert float(row["probability"]) == pytest.approx(one["probability"], abs=1e-4)
    right = [row["label"] == row["truth"] for row in rows if row["truth"]]
    assert made["accuracy"] == sum(right) / 2


def test_the_table_shows_every_text(typed: Type) -> None:
    result = typed("predict run ada --data rows.csv --columns text=Body")
    assert result.exit_code == 0, result.output
    assert all(text in result.stdout for text in ("w1 w2", "w21 [w22]", "w41", "accuracy"))
    bare = typed("predict run ada --data bare.csv").stdout
    assert "w1 w2" in bare and "truth" not in bare and "accuracy" not in bare


def test_a_text_on_the_command_line(typed: Type) -> None:
    made = json.loads(typed("predict run ada --text w1 --text w2 --json").stdout)
    assert [one["text"] for one in made["predictions"]] == ["w1", "w2"]
    assert made["accuracy"] is None


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("predict run ada", 5, "--text and --data: neither is given"),
        ("predict run ada --text w1 --data rows.csv", 5, "both are given"),
        ("predict run ada --text w1 --json --csv", 5, "--json and --csv"),
        ("predict run ada --text w1 --columns text=Body", 5, "--columns: has no effect"),
        ("predict run ada --data rows.csv", 5, "rows.csv:2: no column 'text'"),
        ("predict run eve --text w1", 6, "unknown client 'eve'"),
        ("predict base ada --text w1", 3, "base/run.json"),
        ("predict run ada --text w1 --model nowhere/", 3, "nowhere"),
        ("export run ada -o base", 5, "--output: base exists"),
        ("export run eve -o new", 6, "unknown client 'eve'"),
    ],
)
def test_wrong_commands(typed: Type, folder: Path, line: str, code: int, says: str) -> None:
    result = typed(line)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert says in result.stderr
    assert not (folder / "new").exists()


def test_export_writes_a_checkpoint_and_says_how_to_load_it(typed: Type, folder: Path) -> None:
    result = typed("export run bo.2 -o out")
    assert result.exit_code == 0, result.output
    assert "AutoModelForSequenceClassification.from_pretrained('out'" in result.stdout
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "modeling_flexp.py"} <= names
    config = json.loads((folder / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "class-0", "1": "class-1", "2": "class-2"}


def test_personal_mode_adds_the_clients_label_prior(typed: Type, folder: Path) -> None:
    """Odds of two classes in personal mode are those in global mode times the odds of the prior."""
    modes = {}
    for words in ("", " --mode personal", " --mode global"):
        done = typed(f"predict adjusted ada --data rows.csv --columns text=Body --json{words}")
        assert done.exit_code == 0, done.output
        modes[words] = json.loads(done.stdout)["predictions"]
    assert modes[""] == modes[" --mode personal"] != modes[" --mode global"]
    summary = json.loads((folder / "adjusted" / "summary.json").read_text())
    counts = summary["clients"]["ada"]["data"]["classes"]
    prior = {label: (count + 0.3) for label, count in counts.items()}
    for ours, theirs in zip(modes[""], modes[" --mode global"], strict=True):
        if ours["label"] == theirs["label"]:
            others = [value for label, value in prior.items() if label != ours["label"]]
            odds, before = (one["probability"] / (1 - one["probability"]) for one in (ours, theirs))
            ratio = odds / before
            own = prior[ours["label"]]
            assert own / max(others) - 1e-3 <= ratio <= own / min(others) + 1e-3


def test_a_run_without_a_prior_has_one_mode(typed: Type) -> None:
    done = typed("predict run ada --text w1 --mode global")
    assert done.exit_code == 5
    assert "not trained with --label-prior" in " ".join(done.stderr.split())
