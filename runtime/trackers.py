"""Figures of a run for TensorBoard and MLflow, beside metrics.jsonl.

A step that a killed run repeats after its checkpoint is reported again, with the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ..catalog.files import write_atomic
from ..errors import MissingExtraError
from .records import StepRecord, Summary, TrainSettings
from .run_folder import PLAN, SUMMARY

TENSORBOARD = "tensorboard"
MLFLOW_RUN = "mlflow-run-id.txt"
EXPERIMENT = "flexp"


class Tracker(Protocol):
    def step(self, record: StepRecord) -> None: ...
    def end(self, summary: Summary | None) -> None:
        """`summary` is None where the run was stopped."""


class TensorBoard:
    """Event files in FOLDER/tensorboard."""

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder / TENSORBOARD))
        self.writer.add_text("settings", f"```\n{settings.model_dump_json(indent=2)}\n```")

    def step(self, record: StepRecord) -> None:
        for name, value in step_figures(record).items():
            self.writer.add_scalar(name, value, record.client_step)

    def end(self, summary: Summary | None) -> None:
        for step, name, value in end_figures(summary):
            self.writer.add_scalar(name, value, step)
        self.writer.close()


class MLflow:
    """A run of the experiment "flexp", where MLFLOW_TRACKING_URI says; resumed with the run."""

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        import mlflow

        self.mlflow: Any = mlflow
        self.folder = folder
        known = folder / MLFLOW_RUN
        mlflow.set_experiment(EXPERIMENT)
        if known.exists():
            mlflow.start_run(run_id=known.read_text(encoding="utf-8").strip())
        else:
            run = mlflow.start_run(run_name=folder.absolute().name)
            write_atomic(known, run.info.run_id + "\n")
            mlflow.log_params(settings.model_dump(mode="json"))

    def step(self, record: StepRecord) -> None:
        self.mlflow.log_metrics(step_figures(record), step=record.client_step)

    def end(self, summary: Summary | None) -> None:
        for step, name, value in end_figures(summary):
            self.mlflow.log_metrics({name: value}, step=step)
        if summary is not None:
            for name in (PLAN, SUMMARY):
                self.mlflow.log_artifact(str(self.folder / name))
        self.mlflow.end_run("FINISHED" if summary is not None else "KILLED")


TRACKERS: dict[str, Callable[[Path, TrainSettings], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}
"""By the name of the option, of the extra and of the package that it needs."""


class Trackers:
    """Several as one."""

    def __init__(self, names: Iterable[str], folder: Path) -> None:
        self.names, self.folder = tuple(names), folder
        self.begun: list[Tracker] = []
        for name in self.names:
            if find_spec(name) is None:
                raise MissingExtraError(f"--{name}", name)

    def begin(self, settings: TrainSettings) -> None:
        """Nothing is written before."""
        self.begun = [TRACKERS[name](self.folder, settings) for name in self.names]

    def step(self, record: StepRecord) -> None:
        for tracker in self.begun:
            tracker.step(record)

    def end(self, summary: Summary | None) -> None:
        while self.begun:
            self.begun.pop().end(summary)


@contextmanager
def tracking(names: Iterable[str], folder: Path) -> Iterator[Trackers]:
    """The trackers of these names, ended however the body ends.

    Raises MissingExtraError for one whose package is not installed.
    """
    trackers = Trackers(names, folder)
    try:
        yield trackers
    finally:
        trackers.end(None)


def step_figures(record: StepRecord) -> dict[str, float]:
    """By "figure/client"."""
    figures: dict[str, float] = {
        "up_bytes": record.up_bytes,
        "down_bytes": record.down_bytes,
        "waiting_seconds": record.waiting_seconds,
    }
    if record.accuracy is not None:
        figures["accuracy_personal"] = record.accuracy
    if record.loss is not None:
        figures["loss"] = record.loss
    return {f"{name}/{record.client}": value for name, value in figures.items()}


def end_figures(summary: Summary | None) -> Iterator[tuple[int, str, float]]:
    """(step, "figure/client", value): accuracy before and after training."""
    if summary is None:
        return
    for client, result in summary.clients.items():
        for step, accuracy in ((0, result.before), (result.steps_planned, result.after)):
            yield step, f"accuracy_personal/{client}", accuracy.personal
            yield step, f"accuracy_global/{client}", accuracy.overall
