"""Past runs: found in a folder, read, and set side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from ..catalog.files import Contract, read_contract
from ..errors import FlexpError, MissingFileError
from ..planner.plan import Plan, read_plan
from .metrics import read_metrics
from .records import StepRecord, Summary, TrainSettings
from .run_folder import METRICS, PLAN, SETTINGS, SUMMARY
from .schedule import steps_of

UNTOLD = {"schema_version", "plan_hash", "data_hash"}
"""Settings that say nothing to a person."""
DEEPEST = 3
"""Levels of folders below the one that is named where runs are looked for."""


class RunOverview(Contract):
    """One run, as far as it has come."""

    folder: str
    state: Literal["complete", "running", "stopped", "unreadable"]
    problem: str = ""
    """Why it can't be read, or which clients stopped."""
    settings: TrainSettings | None = None
    server_side: str = ""
    clients: NonNegativeInt = 0
    depths: tuple[PositiveInt, ...] = ()
    """Of the clients, in the plan's order."""
    steps_done: NonNegativeInt = 0
    """Of all clients together."""
    steps: NonNegativeInt = 0
    """To be done, of all clients together."""
    loss: float | None = None
    """Mean over the clients, each over the last tenth of its steps."""
    personal_before: float | None = None
    personal: float | None = None
    """Accuracy after training: the clients' mean ..."""
    personal_worst: float | None = None
    """... and the worst of them."""
    overall: float | None = None
    """Global accuracy, the clients' mean."""
    up_bytes: NonNegativeInt = 0
    down_bytes: NonNegativeInt = 0
    wall_seconds: NonNegativeFloat | None = None


class RunList(Contract):
    runs: tuple[RunOverview, ...]
    differences: dict[str, dict[str, Any]]
    """Setting to run's folder to value, for the settings in which the runs differ."""


def find_runs(folder: Path) -> list[Path]:
    """The folders of runs in `folder`, the oldest first. Raises MissingFileError."""
    if not folder.is_dir():
        raise MissingFileError(folder, "name a run's folder, or one that has runs in it")
    found = [path.parent for path in _walk(folder, DEEPEST)]
    return sorted(found, key=lambda path: (path / SETTINGS).stat().st_mtime_ns)


def _walk(folder: Path, levels: int) -> Iterator[Path]:
    settings = folder / SETTINGS
    if settings.is_file() and (folder / PLAN).is_file():
        yield settings
        return
    if levels > 0:
        try:
            inner = [path for path in folder.iterdir() if path.is_dir()]
        except PermissionError:
            return
        for path in inner:
            if not path.name.startswith("."):
                yield from _walk(path, levels - 1)


def compare(folders: Sequence[Path]) -> RunList:
    runs = tuple(overview(folder) for folder in folders)
    return RunList(runs=runs, differences=differences(runs))


def overview(folder: Path) -> RunOverview:
    try:
        settings = read_contract(TrainSettings, folder / SETTINGS)
        plan = read_plan(folder / PLAN)
        path = folder / SUMMARY
        summary = read_contract(Summary, path) if path.exists() else None
        records = records_of(folder)
    except (FlexpError, ValueError, OSError) as error:
        first, *others = str(error).splitlines()
        problem = first + (f" (and {len(others)} more problems)" if others else "")
        return RunOverview(folder=str(folder), state="unreadable", problem=problem)
    state: Literal["complete", "running", "stopped"] = "stopped"
    if summary is not None:
        state = "complete"
    elif is_held(folder):
        state = "running"
    return RunOverview(
        folder=str(folder),
        state=state,
        settings=settings,
        server_side=plan.server_side,
        clients=len(plan.clients),
        depths=tuple(client.depth for client in plan.clients),
        steps_done=len(records),
        steps=sum(steps_of(plan, settings.steps).values()),
        loss=_last_loss(plan, records),
        up_bytes=sum(record.up_bytes for record in records),
        down_bytes=sum(record.down_bytes for record in records),
        **(_results(summary) if summary is not None else {}),
    )


def records_of(folder: Path) -> list[StepRecord]:
    path = folder / METRICS
    return read_metrics(path) if path.exists() else []


def differences(runs: Sequence[RunOverview]) -> dict[str, dict[str, Any]]:
    """Setting to folder to value, where not all runs have the same; readable runs only."""
    told: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.settings is not None:
            values = run.settings.model_dump(mode="json", exclude=UNTOLD)
            for name, value in (*values.items(), ("server_side", run.server_side)):
                told.setdefault(name, {})[run.folder] = value
    return {
        name: values
        for name, values in told.items()
        if len({repr(value) for value in values.values()}) > 1
    }


def is_held(folder: Path) -> bool:
    """Whether a process runs in the folder (run_folder.held)."""
    if sys.platform == "win32":
        return False
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _results(summary: Summary) -> dict[str, Any]:
    stopped = [name for name, client in summary.clients.items() if client.stopped]
    return {
        "problem": f"stopped: {', '.join(stopped)}" if stopped else "",
        "personal_before": summary.mean("before", "personal"),
        "personal": summary.mean("after", "personal"),
        "personal_worst": min(client.after.personal for client in summary.clients.values()),
        "overall": summary.mean("after", "overall"),
        "wall_seconds": summary.wall_seconds,
    }


def _last_loss(plan: Plan, records: Sequence[StepRecord]) -> float | None:
    losses: dict[str, list[float]] = {client.name: [] for client in plan.clients}
    for record in records:
        if record.loss is not None:
            losses[record.client].append(record.loss)
    last = [own[-max(1, len(own) // 10) :] for own in losses.values() if own]
    return sum(sum(own) / len(own) for own in last) / len(last) if last else None
