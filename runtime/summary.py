"""The end of a run in figures: what was learned, and what the plan had promised."""

from __future__ import annotations

from ..planner.plan import ClientPlan
from ..profiler.process_memory import peak_resident_bytes
from .assemble import Job
from .evaluate import Accuracy
from .records import ClientSummary, Promise, StepRecord, Summary, TrainSettings
from .statistics import DataStatistics


def summarise(
    job: Job,
    settings: TrainSettings,
    *,
    records: list[StepRecord],
    statistics: dict[str, DataStatistics],
    before: dict[str, Accuracy],
    after: dict[str, Accuracy],
    wall_seconds: float,
) -> Summary:
    clients = {
        entry.name: _client(
            entry,
            [record for record in records if record.client == entry.name],
            statistics[entry.name],
            before[entry.name],
            after[entry.name],
        )
        for entry in job.plan.clients
    }
    return Summary(
        plan_hash=settings.plan_hash,
        model=job.plan.model,
        data=settings.data,
        classes=job.partition.classes,
        seed=settings.seed,
        steps=settings.steps,
        wall_seconds=wall_seconds,
        peak_memory_bytes=peak_resident_bytes(),
        fleet_seconds=max(record.fleet_seconds for record in records),
        clients=clients,
        notes=job.partition.notes,
    )


def _client(
    entry: ClientPlan,
    records: list[StepRecord],
    statistics: DataStatistics,
    before: Accuracy,
    after: Accuracy,
) -> ClientSummary:
    tenth = max(1, len(records) // 10)
    up, down = sum(r.up_bytes for r in records), sum(r.down_bytes for r in records)
    promised = entry.predicted
    return ClientSummary(
        depth=entry.depth,
        data=statistics,
        before=before,
        after=after,
        first_loss=sum(r.loss for r in records[:tenth]) / tenth,
        last_loss=sum(r.loss for r in records[-tenth:]) / tenth,
        up_bytes=up,
        down_bytes=down,
        up_bytes_per_step=Promise(predicted=promised.up_bytes_per_step, measured=up / len(records)),
        down_bytes_per_step=Promise(
            predicted=promised.down_bytes_per_step, measured=down / len(records)
        ),
    )
