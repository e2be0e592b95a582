"""FlexP-SFL embedded in one process: no averaging, no barrier, resumable at any step."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ..catalog.files import content_hash, write_contract
from ..errors import RunError
from ..planner.plan import Plan
from . import checkpoint
from .assemble import assemble
from .data import TextData
from .loop import Run, StoppedError
from .metrics import MetricsLog
from .observer import Observer
from .records import Summary, TrainSettings
from .replan import replan
from .run_folder import (
    CHECKPOINTS,
    METRICS,
    SETTINGS,
    clear_partials,
    completed,
    full_disk_explained,
    held,
    last_checkpoint,
)


def train(
    plan: Plan,
    settings: TrainSettings,
    data: TextData,
    folder: Path,
    observer: Observer,
    *,
    resume: bool = False,
    adapter_upload: bool = False,
) -> Summary | None:
    """Run `plan` on `data` and write the run folder (see records.py); None when stopped early.

    With `resume`, continue from the folder's newest whole checkpoint, or from the start where the
    run was killed before its first: the same weights as a run that was never stopped, bit for bit
    on one machine. Where `plan` is another than the run's, clients first change their depths;
    `adapter_upload` lets their personal adapters go to the server. A complete run is left as it is.

    Raises RunError where training can't go on, a full disk included, and PlanError for a plan that
    the run can't change to.
    """
    with held(folder), full_disk_explained(folder):
        clear_partials(folder)
        summary = completed(folder) if resume else None
        if summary is None:
            found = (
                _checkpoint(plan, settings, data, folder, observer, adapter_upload)
                if resume
                else None
            )
            job = assemble(plan, settings, data, observer.fetch)
            kept_bytes = found.state.metrics_bytes if found else 0
            with closing(MetricsLog(folder / METRICS, kept_bytes)) as log:
                run = Run(job, settings, folder, log, observer)
                try:
                    run.go_on(found) if found else run.begin(anew=not resume)
                    run.steps()
                    summary = run.finish()
                except StoppedError:
                    return None
        checkpoint.remove(folder / CHECKPOINTS)
    if all(client.stopped for client in summary.clients.values()):
        first = next(iter(summary.clients.values()))
        raise RunError(
            f"no client could go on: {first.stopped}", "lower the learning rates, or mend the data"
        )
    return summary


def _checkpoint(
    plan: Plan,
    settings: TrainSettings,
    data: TextData,
    folder: Path,
    observer: Observer,
    adapter_upload: bool,
) -> checkpoint.Found | None:
    """Where the run goes on, under `plan`; None where it was killed before its first checkpoint."""
    found = last_checkpoint(folder)
    if found is not None and content_hash(found.state.plan) != content_hash(plan):
        replan(found, plan, settings, data, folder, observer, upload=adapter_upload)
        found = last_checkpoint(folder)
    write_contract(settings, folder / SETTINGS)
    return found
