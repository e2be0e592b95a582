"""The files of a run folder, and the rules for beginning, resuming and sharing one (records.py)."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..catalog.files import content_hash, read_contract, write_contract
from ..errors import FieldError, MissingFileError, PlanError, RunError
from ..planner.plan import Plan, read_plan
from .checkpoint import Found, newest
from .data import TextData
from .records import Summary, TrainSettings

PLAN = "plan.yaml"
SETTINGS = "run.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoint"
SUMMARY = "summary.json"
CLIENTS = "clients"

MAY_CHANGE = frozenset({"on_bad_numbers"})
"""Settings that a resumed run may have another value of."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def resume_command(folder: Path) -> str:
    return f"flexp train --resume -o {shlex.quote(str(folder))}"


def check_new(folder: Path) -> None:
    """Raise RunError where a new run would overwrite another."""
    if (folder / SETTINGS).exists():
        raise RunError(
            f"{folder} already holds a run",
            f"continue it with `{resume_command(folder)}`, or choose another -o folder",
        )
    if folder.exists() and not folder.is_dir():
        raise FieldError(f"--output: {folder} is a file", "name a folder")


def begin(folder: Path, plan: Plan, settings: TrainSettings) -> None:
    """From here on the run can be resumed: all that determines it is on the disk."""
    write_contract(plan, folder / PLAN)
    write_contract(settings, folder / SETTINGS)


def reopen(folder: Path, plan_path: Path | None = None) -> tuple[Plan, TrainSettings]:
    """The plan in force and the settings of a run that has begun.

    Raises MissingFileError, RunError, or PlanError where `plan_path` is another plan than the
    run's or the folder's plan was changed by hand.
    """
    if not (folder / SETTINGS).is_file():
        raise MissingFileError(folder / SETTINGS, f"{folder} holds no run; start without --resume")
    settings = read_contract(TrainSettings, folder / SETTINGS)
    found = last_checkpoint(folder)
    if found is not None:
        plan = found.state.plan
    else:
        plan = read_plan(folder / PLAN)
        if content_hash(plan) != settings.plan_hash:
            raise PlanError(f"{folder / PLAN} has changed since the run began", "put it back")
    if plan_path is not None and content_hash(read_plan(plan_path).expanded()) != content_hash(
        plan
    ):
        raise PlanError(
            f"{plan_path} is not the plan of the run in {folder}",
            "leave the plan out to resume, give it with --plan to change the run's depths, or "
            "choose another -o folder to run it from the start",
        )
    return plan, settings


def last_checkpoint(folder: Path) -> Found | None:
    """The newest whole checkpoint; None where the run was killed before its first.

    Raises RunError where all are damaged or gone.
    """
    found = newest(folder / CHECKPOINTS)
    metrics = folder / METRICS
    if found is None and metrics.exists() and metrics.stat().st_size:
        raise RunError(
            f"{folder / CHECKPOINTS}: the run's checkpoint is missing",
            "put it back, or start again without --resume in a new folder",
        )
    return found


def with_changes(settings: TrainSettings, given: dict[str, object]) -> TrainSettings:
    """The settings of a run, with what was given to resume it.

    Raises FieldError for a value that differs from the run's and may not.
    """
    for name, value in given.items():
        began = getattr(settings, name)
        if began != value and name not in MAY_CHANGE:
            option = "--" + name.replace("_", "-")
            raise FieldError(
                f"{option}: the run began with {began}, found {value}", "leave it out to resume"
            )
    return settings.model_copy(update=given)


def check_data(settings: TrainSettings, data: TextData) -> None:
    if data.fingerprint() != settings.data_hash:
        raise RunError(
            f"{settings.data} has changed since the run began",
            "put the old file back, or start a new run in another -o folder",
        )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the folder to this process. The system lets go of it however the process ends.

    Raises RunError where another process runs in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another flexp process runs in {folder}",
                "wait for it or stop it, or choose another -o folder",
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def clear_partials(folder: Path) -> None:
    """Drop what a killed process left of files that it was about to replace."""
    for parent in (folder, *(folder / CLIENTS).glob("*")):
        for path in parent.glob(".*.????????"):
            if path.suffixes[:-1] and path.is_file():
                path.unlink()


def check_not_complete(folder: Path) -> None:
    if completed(folder) is not None:
        raise RunError(
            f"the run in {folder} is complete: its depths can't change any more",
            "run the new plan from the start, in another -o folder",
        )


def completed(folder: Path) -> Summary | None:
    """The summary of a complete run; None of one that has not begun or can be resumed."""
    path = folder / SUMMARY
    return read_contract(Summary, path) if path.exists() else None


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn "no space left" into a RunError that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        found = newest(folder / CHECKPOINTS)
        kept = (
            f"the checkpoint after step {found.state.steps_done} is intact"
            if found
            else "there is no checkpoint yet"
        )
        raise RunError(
            f"{error.filename or folder}: {error.strerror}; {kept}",
            f"make room, then continue with: {resume_command(folder)}",
        ) from error
