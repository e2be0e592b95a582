"""`flexp compare` and `flexp tune` as typed: a small office, a small model, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.cli.app import app
from flexp.planner.value import read_curve
from flexp.runtime.comparison import study
from flexp.runtime.comparison.cell import Cell
from typer.testing import CliRunner, Result

from ..jobs import write_csv
from .offices import FLEET

Type = Callable[..., Result]
SETTINGS = "--length 16 --batch 4 --rank 4 --data rows.csv --steps 3"


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Callable[[str], Path]
) -> Type:
    """Runs a line in a folder with fleet.yaml and rows.csv; MODEL is a checkpoint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yaml").write_text(FLEET)
    write_csv(tmp_path / "rows.csv")
    runner = CliRunner(env={"COLUMNS": "80"})

    def run(line: str) -> Result:
        words = [w.replace("MODEL", str(checkpoint("bert"))) for w in line.split()]
        return runner.invoke(app, words, prog_name="flexp")

    return run


COMPARE = f"compare fleet.yaml --model MODEL {SETTINGS}"
TUNE = f"tune fleet.yaml --model MODEL {SETTINGS} --budget 2 --algorithms local"


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    ran: list[str] = []
    real = study.run_cell

    def counted(cell: Cell, *rest: object) -> object:
        ran.append(f"{cell.label} {cell.seed}")
        return real(cell, *rest)

    monkeypatch.setattr(study, "run_cell", counted)
    return ran


def test_a_projection_of_one_algorithm(
    typed: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is trained with and costed; the others have none."""
    targets: dict[str, tuple[str, ...]] = {}
    real = study.run_cell

    def seen(cell: Cell, *rest: object) -> object:
        targets[cell.label] = cell.profile.settings.lora_targets
        return real(cell, *rest)

    monkeypatch.setattr(study, "run_cell", seen)
    names = "local,local/projection,fedavg,fedavg/projection"
    done = typed(f"{COMPARE} --seeds 1 --algorithms {names} --json")
    assert done.exit_code == 0, done.output
    assert targets == {
        name: ("projection",) * name.endswith("/projection") for name in names.split(",")
    }
    rows = {row["label"]: row for row in json.loads(done.stdout)["rows"]}
    for name in ("local", "fedavg"):
        plain, own = rows[name], rows[f"{name}/projection"]
        for what in ("device_flops", "peak_memory_bytes"):
            assert own[what]["mean"] > plain[what]["mean"]
    moved = [rows[name]["client_bytes"]["mean"] for name in ("fedavg", "fedavg/projection")]
    assert (moved[1] - moved[0]) % (2 * 4 * 32**2) == 0  # W up and down, once a round
    assert moved[1] > moved[0]


def test_a_projection_is_an_adapter(typed: Type) -> None:
    refused = typed(
        f"{COMPARE} --method head --algorithms local/projection".replace("--rank 4", "")
    )
    assert refused.exit_code == 5
    assert "--method head has none" in refused.stderr


def test_a_table_that_grows(typed: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was run is not run again; another seed or algorithm is."""
    ran = count_runs(monkeypatch)
    first = typed(f"{COMPARE} --seeds 1 --algorithms flexp-sfl,fedavg/prior --csv t.csv")
    assert first.exit_code == 0, first.output
    assert ran == ["flexp-sfl 0", "fedavg/prior 0"]
    assert max(map(len, first.stdout.splitlines())) <= 80
    for word in ("flexp-sfl", "fedavg/prior", "personal", "global", "to target"):
        assert word in first.stdout
    assert (tmp_path / "t.csv").read_text().startswith("label,seeds,misfits,reached,personal")
    ran.clear()
    again = typed(f"{COMPARE} --seeds 2 --algorithms flexp-sfl,local --json")
    assert again.exit_code == 0, again.output
    assert ran == ["local 0", "flexp-sfl 1", "local 1"]
    assert "planning" not in again.stderr
    table = json.loads(again.stdout)
    assert [row["label"] for row in table["rows"]] == ["flexp-sfl", "local"]
    assert table["rows"][1]["personal_difference"]["seeds"] == 2


def test_another_fleet_is_planned_anew(typed: Type, tmp_path: Path) -> None:
    line = f"{COMPARE} --seeds 1 --algorithms flexp-sfl --steps 1"
    assert typed(line).exit_code == 0
    before = (tmp_path / "compare" / "plan-optimized.yaml").read_text()
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("max_depth: 2", "min_depth: 3"))
    assert typed(line).exit_code == 0
    after = (tmp_path / "compare" / "plan-optimized.yaml").read_text()
    assert after != before
    assert len(list((tmp_path / "compare" / "cells").iterdir())) == 2


def test_a_plan_that_was_made_before(typed: Type, tmp_path: Path) -> None:
    """Its depths are what is trained; it must be a plan of this fleet and these settings."""
    made = typed(
        "plan fleet.yaml --model MODEL --length 16 --batch 4 --rank 4 --strategy static -o p.yaml"
    )
    assert made.exit_code == 0, made.output
    line = f"{COMPARE} --seeds 1 --algorithms flexp-sfl --steps 1"
    given = typed(f"{line} --plan p.yaml")
    assert given.exit_code == 0, given.output
    assert not list((tmp_path / "compare").glob("plan-*"))
    same = typed(f"{line} --strategy static")
    assert same.exit_code == 0, same.output
    assert len(list((tmp_path / "compare" / "cells").iterdir())) == 1
    both = typed(f"{line} --plan p.yaml --strategy static")
    assert both.exit_code == 5 and "--strategy: has no effect with --plan" in both.stderr
    other = typed(f"{line} --plan p.yaml --rank 2")
    assert other.exit_code == 10 and "p.yaml is a plan of another fleet" in other.stderr


def test_an_interrupted_study_goes_on(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{COMPARE} --seeds 1 --algorithms local,fedavg"
    real = study.run_cell

    def stopped(cell: Cell, *rest: object) -> object:
        if cell.algorithm == "fedavg":
            raise KeyboardInterrupt
        return real(cell, *rest)

    monkeypatch.setattr(study, "run_cell", stopped)
    done = typed(line)
    assert done.exit_code == 130
    assert "1 of 2 cells are done; the same command goes on" in done.stderr
    monkeypatch.setattr(study, "run_cell", real)
    ran = count_runs(monkeypatch)
    assert typed(line).exit_code == 0
    assert ran == ["fedavg 0"]


def test_a_curve_of_depths_that_the_planner_reads(typed: Type, tmp_path: Path) -> None:
    done = typed(f"{COMPARE} --seeds 1 --depths 1,3 -o depths")
    assert done.exit_code == 0, done.output
    curve = read_curve(tmp_path / "depths" / "value.yaml")
    assert [point.depth_share for point in curve.points] == [0.25, 0.75]
    planned = typed(
        "plan fleet.yaml --model MODEL --length 16 --batch 4 --rank 4 "
        "--value depths/value.yaml --objective value"
    )
    assert planned.exit_code == 0, planned.output


def test_rates_are_chosen_on_validation_rows_and_then_used(
    typed: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[float | None, int, float, float]] = []
    real = study.run_cell

    def noted(cell: Cell, *rest: object) -> object:
        rates = cell.options.learning_rate, cell.options.head_rate
        seen.append((cell.data.held_out_share, cell.seed, *rates))
        return real(cell, *rest)

    monkeypatch.setattr(study, "run_cell", noted)
    tuned = typed(f"{TUNE} --held-out 0.4")
    assert tuned.exit_code == 0, tuned.output
    assert [entry[:2] for entry in seen] == [(0.4, 1000)] * 2 and seen[0] != seen[1]
    assert "local" in tuned.stdout
    seen.clear()
    used = typed(f"{COMPARE} --seeds 1 --algorithms local --rates rates.yaml --json")
    assert used.exit_code == 0, used.output
    chosen = json.loads(typed(f"{TUNE} --held-out 0.4 --json").stdout)["rates"]["local"]
    assert seen == [(None, 0, chosen["learning_rate"], chosen["head_rate"])]


@pytest.mark.slow
def test_cells_side_by_side_give_the_same_results(typed: Type, tmp_path: Path) -> None:
    line = f"{COMPARE} --seeds 1 --algorithms flexp-sfl,local"
    alone, beside = typed(f"{line} -o one --json"), typed(f"{line} -o two --jobs 2 --json")
    assert beside.exit_code == 0, beside.output
    assert alone.stdout == beside.stdout
    names = [{path.name for path in (tmp_path / f / "cells").iterdir()} for f in ("one", "two")]
    assert names[0] == names[1]


def test_a_picture(typed: Type, tmp_path: Path) -> None:
    done = typed(f"{COMPARE} --seeds 1 --algorithms flexp-sfl,fedavg --plot out.svg")
    assert done.exit_code == 0, done.output
    assert "<svg" in (tmp_path / "out.svg").read_text()


BAD = {
    "unknown algorithm": (f"{COMPARE} --algorithms fedpox", 6, ["'fedpox'", "fedper"]),
    "word of no kind": (f"{COMPARE} --algorithms local/aligned", 5, ["local has no 'aligned'"]),
    "one twice": (f"{COMPARE} --algorithms local,local", 5, ["--algorithms", "twice"]),
    "none": (f"{COMPARE} --algorithms ,", 5, ["--algorithms", "none"]),
    "depth of no block": (f"{COMPARE} --depths 1,4", 5, ["--depths", "from 1 to 3"]),
    "depth of no number": (f"{COMPARE} --depths deep", 5, ["--depths 'deep'"]),
    "depths of another algorithm": (
        f"{COMPARE} --depths 1 --algorithms local",
        5,
        ["--depths", "local has no depths"],
    ),
    "target of a curve": (f"{COMPARE} --depths 1 --target 0.5", 5, ["--target", "--depths"]),
    "target beyond all": (f"{COMPARE} --target 2", 2, ["--target"]),
    "λ of no kind": (f"{COMPARE} --lambdas half", 5, ["'half'", "constant:0.01"]),
    "λ below 0": (f"{COMPARE} --lambdas constant:-1", 5, ["--lambdas", "0 or more"]),
    "rate of nothing": (f"{COMPARE} --head-rate 0", 5, ["--head-rate", "greater than 0"]),
    "results into a file": (f"{COMPARE} -o fleet.yaml", 5, ["--output", "fleet.yaml is a file"]),
    "no scenario": (f"{COMPARE} --scenario no.yaml", 3, ["no.yaml: no such file"]),
    "no rates": (f"{COMPARE} --rates no.yaml", 3, ["no.yaml: no such file"]),
    "rates of another kind": (f"{COMPARE} --rates fleet.yaml", 5, ["fleet.yaml", "rates"]),
    "csv of no format": (f"{COMPARE} --csv out.xls", 5, ["--csv", "'.xls'"]),
    "no model": (f"compare fleet.yaml {SETTINGS}", 5, ["--profile", "--model", "neither"]),
    "no data": (f"{COMPARE.replace('rows.csv', 'no.csv')}", 3, ["no.csv"]),
    "a stranger in the scenario": (
        f"{COMPARE} --scenario bad.yaml",
        6,
        ["bad.yaml:3", "slow.0.client", "'zoe'", "ada"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(typed: Type, tmp_path: Path, case: str) -> None:
    line, code, says = BAD[case]
    (tmp_path / "bad.yaml").write_text("schema_version: 1\nslow:\n  - {client: zoe, device: 20}\n")
    done = typed(f"{line} --seeds 1")
    assert done.exit_code == code, done.output
    told = " ".join(done.stderr.split())
    assert [word for word in says if word not in told] == []
    assert not (tmp_path / "compare" / "cells").exists()
