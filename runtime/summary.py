"""The end of a run in figures: what was learned, and what the plan had promised."""

from __future__ import annotations

from ..catalog.files import content_hash
from ..planner.plan import ClientPlan
from ..profiler.process_memory import peak_resident_bytes
from .assemble import Job
from .evaluate import Accuracy
from .records import ClientSummary, Promise, StepRecord, Summary, TrainSettings
from .state import ClientState, Move
from .statistics import DataStatistics


def summarise(
    job: Job,
    settings: TrainSettings,
    *,
    records: list[StepRecord],
    statistics: dict[str, DataStatistics],
    clients: dict[str, ClientState],
    moves: tuple[Move, ...],
    before: dict[str, Accuracy],
    after: dict[str, Accuracy],
    wall_seconds: float,
) -> Summary:
    summaries = {
        entry.name: _client(
            entry,
            [record for record in records if record.client == entry.name],
            statistics[entry.name],
            clients[entry.name],
            before[entry.name],
            after[entry.name],
        )
        for entry in job.plan.clients
    }
    return Summary(
        plan_hash=content_hash(job.plan),
        model=job.plan.model,
        task=job.plan.settings.task,
        data=settings.data,
        classes=job.partition.classes,
        seed=settings.seed,
        steps=settings.steps,
        wall_seconds=wall_seconds,
        peak_memory_bytes=peak_resident_bytes(),
        fleet_seconds=max(record.fleet_seconds for record in records),
        clients=summaries,
        moves=moves,
        notes=job.partition.notes,
    )


def _client(
    entry: ClientPlan,
    records: list[StepRecord],
    statistics: DataStatistics,
    state: ClientState,
    before: Accuracy,
    after: Accuracy,
) -> ClientSummary:
    losses = [record.loss for record in records if record.loss is not None]
    tenth = max(1, len(losses) // 10)
    up, down = sum(r.up_bytes for r in records), sum(r.down_bytes for r in records)
    steps, promised = max(1, len(records)), entry.predicted
    seconds = [r.step_seconds for r in records if r.step_seconds is not None]
    return ClientSummary(
        depth=entry.depth,
        data=statistics,
        before=before,
        after=after,
        steps_planned=state.steps,
        steps=len(losses),
        skipped_steps=len(records) - len(losses),
        stopped=state.stopped,
        first_loss=_mean(losses[:tenth]),
        last_loss=_mean(losses[-tenth:]),
        waiting_seconds=sum(record.waiting_seconds for record in records),
        step_seconds=sum(seconds) if len(seconds) == len(records) else None,
        up_bytes=up,
        down_bytes=down,
        up_bytes_per_step=Promise(predicted=promised.up_bytes_per_step, measured=up / steps),
        down_bytes_per_step=Promise(predicted=promised.down_bytes_per_step, measured=down / steps),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
