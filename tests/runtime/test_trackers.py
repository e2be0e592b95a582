"""What TensorBoard and MLflow are told. Both packages are stood in for; their calls are theirs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flexp.errors import MissingExtraError
from flexp.runtime import trackers
from flexp.runtime.records import StepRecord, Summary, TrainSettings
from flexp.runtime.trackers import tracking

SETTINGS = TrainSettings(plan_hash="0", data="toy", data_hash="1", model="bert", steps=4)


def record(step: int, loss: float | None) -> StepRecord:
    return StepRecord(
        step=2 * step,
        client="ada",
        client_step=step,
        loss=loss,
        fleet_seconds=1.0,
        waiting_seconds=0.5,
        up_bytes=10,
        down_bytes=20,
    )


def summary() -> Any:
    accuracy = [SimpleNamespace(personal=p, overall=o) for p, o in ((0.1, 0.2), (0.3, 0.4))]
    ada = SimpleNamespace(before=accuracy[0], after=accuracy[1], steps_planned=4)
    return SimpleNamespace(clients={"ada": ada})


EXPECTED = {
    ("up_bytes/ada", 0, 10),
    ("down_bytes/ada", 0, 20),
    ("waiting_seconds/ada", 0, 0.5),
    ("loss/ada", 0, 1.5),
    ("up_bytes/ada", 1, 10),
    ("down_bytes/ada", 1, 20),
    ("waiting_seconds/ada", 1, 0.5),
}
AT_THE_END = {
    ("accuracy_personal/ada", 0, 0.1),
    ("accuracy_global/ada", 0, 0.2),
    ("accuracy_personal/ada", 4, 0.3),
    ("accuracy_global/ada", 4, 0.4),
}


class Scalars:
    """Stands for torch.utils.tensorboard.SummaryWriter."""

    def __init__(self, folder: str) -> None:
        self.folder, self.scalars, self.closed = folder, set(), False
        made.append(self)

    def add_text(self, name: str, text: str) -> None:
        assert '"data": "toy"' in text

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.add((name, step, value))

    def close(self) -> None:
        self.closed = True


made: list[Scalars] = []


class Mlflow(ModuleType):
    """Stands for the package mlflow."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.metrics: set[tuple[str, int, float]] = set()
        self.calls: list[object] = []

    def set_experiment(self, name: str) -> None:
        self.calls.append(("experiment", name))

    def start_run(self, run_id: str | None = None, run_name: str | None = None) -> Any:
        self.calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="f00"))

    def log_params(self, parameters: dict[str, object]) -> None:
        self.calls.append(("parameters", parameters["data"]))

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.metrics |= {(name, step, value) for name, value in metrics.items()}

    def log_artifact(self, path: str) -> None:
        self.calls.append(("artifact", Path(path).name))

    def end_run(self, status: str) -> None:
        self.calls.append(("end", status))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    writer = ModuleType("torch.utils.tensorboard")
    writer.SummaryWriter = Scalars  # type: ignore[attr-defined]
    stub = Mlflow()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", writer)
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    monkeypatch.setattr(trackers, "find_spec", lambda name: object())
    made.clear()
    return stub


def go(folder: Path, name: str, end: Summary | None) -> None:
    with tracking([name], folder) as tracker:
        tracker.begin(SETTINGS)
        tracker.step(record(0, 1.5))
        tracker.step(record(1, None))
        tracker.end(end)


def test_tensorboard_gets_every_figure(tmp_path: Path) -> None:
    go(tmp_path, "tensorboard", summary())
    (writer,) = made
    assert writer.folder == str(tmp_path / "tensorboard")
    assert writer.scalars == EXPECTED | AT_THE_END
    assert writer.closed


def test_mlflow_gets_every_figure_and_the_files(tmp_path: Path, installed: Mlflow) -> None:
    go(tmp_path, "mlflow", summary())
    assert installed.metrics == EXPECTED | AT_THE_END
    assert installed.calls == [
        ("experiment", "flexp"),
        ("start", None, tmp_path.name),
        ("parameters", "toy"),
        ("artifact", "plan.yaml"),
        ("artifact", "summary.json"),
        ("end", "FINISHED"),
    ]


def test_a_stopped_run_goes_on_as_the_same_run_of_mlflow(tmp_path: Path, installed: Mlflow) -> None:
    go(tmp_path, "mlflow", None)
    assert installed.calls[-1] == ("end", "KILLED")
    go(tmp_path, "mlflow", summary())
    assert ("start", "f00", None) in installed.calls
    assert sum(call[0] == "parameters" for call in installed.calls) == 1


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_an_error_ends_it_and_nothing_is_written_before_the_run_begins(
    tmp_path: Path, installed: Mlflow, name: str
) -> None:
    with pytest.raises(ZeroDivisionError), tracking([name], tmp_path) as tracker:
        tracker.end(1 / 0)
    assert (made, installed.calls, list(tmp_path.iterdir())) == ([], [], [])
    with pytest.raises(ZeroDivisionError), tracking([name], tmp_path) as tracker:
        tracker.begin(SETTINGS)
        tracker.end(1 / 0)
    assert made[0].closed if name == "tensorboard" else installed.calls[-1] == ("end", "KILLED")


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=rf"--{name} needs the extra \[{name}\]"):
        trackers.Trackers([name], tmp_path)
