"""FlexP-SFL embedded in one process: no averaging, no barrier, resumable at any step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..catalog.files import write_atomic, write_contract
from ..catalog.progress import Progress
from ..planner.plan import Plan
from . import checkpoint
from .assemble import Job, assemble
from .batches import batch_indices
from .data import TextData
from .evaluate import Accuracy, evaluate
from .export import export_client
from .records import StepRecord, Summary, TrainSettings
from .run_folder import CHECKPOINT, METRICS, SUMMARY, begin
from .schedule import Arrival, arrivals
from .summary import summarise


@dataclass(frozen=True, kw_only=True)
class Observer:
    """What a display wants to know, as it happens."""

    note: Callable[[str], None]
    fetch: Progress
    evaluated: Callable[[str, int, int], None]
    """(when, clients done, clients)."""
    stepped: Callable[[StepRecord, int], None]
    """(record, steps of the whole run)."""
    should_stop: Callable[[], bool]


def train(
    plan: Plan,
    settings: TrainSettings,
    data: TextData,
    folder: Path,
    observer: Observer,
    *,
    resume: bool = False,
) -> Summary | None:
    """Run `plan` on `data` and write the run folder (see records.py); None when stopped early.

    With `resume`, continue from the folder's checkpoint: the same weights as a run that was never
    stopped, bit for bit on one machine.
    """
    started = time.monotonic()
    job = assemble(plan, settings, data, observer.fetch)
    for note in job.partition.notes:
        observer.note(note)
    if resume:
        state = checkpoint.load(folder / CHECKPOINT, job.server, job.clients)
    else:
        state = {"done": 0, "seconds": 0.0, "before": _evaluate(job, "before", observer)}
    log = _Log(folder / METRICS, state["done"])
    earlier = state["seconds"]

    def save() -> None:
        state["seconds"] = earlier + time.monotonic() - started
        checkpoint.save(folder / CHECKPOINT, job.server, job.clients, state)

    save()
    if not resume:
        begin(folder, plan, settings)  # after the first checkpoint: what is begun can be resumed
    total = settings.steps * len(job.clients)
    order = arrivals({c.name: c.predicted.step_seconds for c in plan.clients}, settings.steps)
    try:
        for arrival in islice(order, state["done"], None):
            if observer.should_stop():
                save()
                return None
            record = _step(job, settings, arrival, state["done"])
            log.write(record)
            state["done"] += 1
            observer.stepped(record, total)
            if state["done"] % settings.checkpoint_every == 0:
                save()
    finally:
        log.close()
    after = _evaluate(job, "after", observer)
    for name, client in job.clients.items():
        target = folder / "clients" / name
        export_client(
            client,
            job.server.effective(name),
            job.head(name),
            target,
            plan.model,
            plan.settings.lora_rank,
        )
    summary = summarise(
        job,
        settings,
        records=log.records(),
        before={name: Accuracy(**scores) for name, scores in state["before"].items()},
        after={name: Accuracy(**scores) for name, scores in after.items()},
        wall_seconds=earlier + time.monotonic() - started,
    )
    write_contract(summary, folder / SUMMARY)
    (folder / CHECKPOINT).unlink()
    return summary


def _step(job: Job, settings: TrainSettings, arrival: Arrival, done: int) -> StepRecord:
    name, plan = arrival.client, job.plan
    client, rows = job.clients[name], job.train[name]
    traffic = client.wire.traffic
    up, down = traffic.up_bytes, traffic.down_bytes
    chosen = batch_indices(len(rows), plan.settings.batch, arrival.step, settings.seed, name)
    loss = client.train_step(arrival.step, *job.batcher.batch(rows, chosen))
    return StepRecord(
        step=done,
        client=name,
        client_step=arrival.step,
        loss=loss,
        fleet_seconds=arrival.seconds,
        up_bytes=traffic.up_bytes - up,
        down_bytes=traffic.down_bytes - down,
    )


def _evaluate(job: Job, when: str, observer: Observer) -> dict[str, Any]:
    done = 0

    def on_client() -> None:
        nonlocal done
        done += 1
        observer.evaluated(when, done, len(job.clients))

    observer.evaluated(when, 0, len(job.clients))
    scores = evaluate(job.clients, job.tests, job.batcher, job.plan.settings.batch, on_client)
    return {name: accuracy.model_dump() for name, accuracy in scores.items()}


class _Log:
    """metrics.jsonl, cut back to the checkpoint's step when a run is resumed."""

    def __init__(self, path: Path, done: int) -> None:
        lines = path.read_text().splitlines()[:done] if done else []
        write_atomic(path, "".join(line + "\n" for line in lines))
        self.path = path
        self.file = path.open("a")

    def write(self, record: StepRecord) -> None:
        self.file.write(record.model_dump_json() + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()

    def records(self) -> list[StepRecord]:
        return [StepRecord(**json.loads(line)) for line in self.path.read_text().splitlines()]
