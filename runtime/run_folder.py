"""The files of a run folder, and the rules for beginning and resuming one (see records.py)."""

from __future__ import annotations

from pathlib import Path

from ..catalog.files import content_hash, read_contract, write_contract
from ..errors import FieldError, MissingFileError, PlanError, RunError
from ..planner.plan import Plan, read_plan
from .data import TextData
from .records import TrainSettings

PLAN = "plan.yaml"
SETTINGS = "run.json"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
SUMMARY = "summary.json"


def check_new(folder: Path) -> None:
    """Raise RunError where a new run would overwrite another."""
    if (folder / SETTINGS).exists():
        raise RunError(
            f"{folder} already holds a run",
            f"continue it with `flexp train --resume -o {folder}`, or choose another -o folder",
        )
    if folder.exists() and not folder.is_dir():
        raise FieldError(f"--output: {folder} is a file", "name a folder")


def begin(folder: Path, plan: Plan, settings: TrainSettings) -> None:
    write_contract(plan, folder / PLAN)
    write_contract(settings, folder / SETTINGS)


def reopen(folder: Path, plan_path: Path | None) -> tuple[Plan, TrainSettings]:
    """The plan and settings of a stopped run.

    Raises MissingFileError, RunError for a complete run, PlanError where `plan_path` is another
    plan than the run's.
    """
    if not (folder / SETTINGS).is_file():
        raise MissingFileError(folder / SETTINGS, f"{folder} holds no run; start without --resume")
    settings = read_contract(TrainSettings, folder / SETTINGS)
    plan = read_plan(folder / PLAN)
    if content_hash(plan) != settings.plan_hash:
        raise PlanError(f"{folder / PLAN} has changed since the run began", "put it back")
    if plan_path is not None and content_hash(read_plan(plan_path)) != settings.plan_hash:
        raise PlanError(
            f"{plan_path} is not the plan of the run in {folder}",
            "leave the plan out to resume, or choose another -o folder to run this one",
        )
    if (folder / SUMMARY).exists():
        raise RunError(f"the run in {folder} is complete", "choose another -o folder to run again")
    return plan, settings


def check_same(settings: TrainSettings, given: dict[str, object]) -> None:
    """Raise FieldError where an option given with --resume differs from the run's."""
    for name, value in given.items():
        began = getattr(settings, name)
        if began != value:
            option = "--" + name.replace("_", "-")
            raise FieldError(
                f"{option}: the run began with {began}, found {value}", "leave it out to resume"
            )


def check_data(settings: TrainSettings, data: TextData) -> None:
    if data.fingerprint() != settings.data_hash:
        raise RunError(
            f"{settings.data} has changed since the run began",
            "put the old file back, or start a new run in another -o folder",
        )
