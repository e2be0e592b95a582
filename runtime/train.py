"""FlexP-SFL embedded in one process: no averaging, no barrier, resumable at any step."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from ..catalog.files import write_contract
from ..errors import RunError, StepError
from ..planner.plan import Plan
from . import checkpoint
from .assemble import Job, assemble
from .batches import batch_indices
from .data import TextData
from .evaluate import Accuracy, evaluate
from .export import export_client
from .job_tensors import capture, restore
from .metrics import MetricsLog, read_metrics
from .observer import Observer, Start
from .records import StepRecord, Summary, TrainSettings
from .run_folder import (
    CHECKPOINTS,
    CLIENTS,
    METRICS,
    SETTINGS,
    SUMMARY,
    begin,
    clear_partials,
    completed,
    full_disk_explained,
    held,
    last_checkpoint,
    resume_command,
)
from .schedule import Arrival, Pace, arrivals
from .state import ClientState, RunState
from .statistics import describe
from .summary import summarise
from .waiting import Waiting
from .wire import Traffic


class _StoppedError(Exception):
    """Somebody asked to stop; the checkpoint is written."""


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

    With `resume`, continue from the folder's newest whole checkpoint, or from the start where the
    run was killed before its first: the same weights as a run that was never stopped, bit for bit
    on one machine. A complete run is left as it is.

    Raises RunError where training can't go on, a full disk included.
    """
    with held(folder), full_disk_explained(folder):
        clear_partials(folder)
        summary = completed(folder) if resume else None
        if summary is None:
            if resume:
                write_contract(settings, folder / SETTINGS)
            found = last_checkpoint(folder) if resume else None
            job = assemble(plan, settings, data, observer.fetch)
            kept_bytes = found.state.metrics_bytes if found else 0
            with closing(MetricsLog(folder / METRICS, kept_bytes)) as log:
                run = _Run(job, settings, folder, log, observer)
                try:
                    run.go_on(found) if found else run.begin(anew=not resume)
                    run.steps()
                    summary = run.finish()
                except _StoppedError:
                    return None
        checkpoint.remove(folder / CHECKPOINTS)
    if all(client.stopped for client in summary.clients.values()):
        first = next(iter(summary.clients.values()))
        raise RunError(
            f"no client could go on: {first.stopped}", "lower the learning rates, or mend the data"
        )
    return summary


class _Run:
    """A job on its way: what has been done of it, and where that is kept."""

    def __init__(
        self,
        job: Job,
        settings: TrainSettings,
        folder: Path,
        log: MetricsLog,
        observer: Observer,
    ) -> None:
        self.job, self.settings, self.folder = job, settings, folder
        self.log, self.observer = log, observer
        self.started = time.monotonic()
        self.earlier_seconds = 0.0
        self.steps_done = 0
        self.saved_steps: int | None = None
        self.before: dict[str, Accuracy] = {}
        self.clients = {name: ClientState() for name in job.clients}
        self.statistics = describe(job.partition, job.train, job.plan.settings.length)
        self.waiting: dict[str, Waiting] = {}
        for name, client in job.clients.items():
            self.waiting[name] = client.wire.deliver = Waiting(client.wire.deliver)
        for note in job.partition.notes:
            observer.note(note)

    def begin(self, anew: bool) -> None:
        """From the first step; not `anew` where the run was killed before its first checkpoint."""
        if anew:
            begin(self.folder, self.job.plan, self.settings)
        self._tell()
        self.before = self._evaluate("before")
        self._save()

    def go_on(self, found: checkpoint.Found) -> None:
        """From a checkpoint."""
        for path in found.damaged:
            self.observer.note(f"{path} is damaged: going on from step {found.state.steps_done}")
        checkpoint.discard(found.damaged)
        restore(self.job, found.tensors())
        self.earlier_seconds, self.steps_done = found.state.wall_seconds, found.state.steps_done
        self.saved_steps = self.steps_done
        self.before, self.clients = found.state.before, dict(found.state.clients)
        for name, client in self.clients.items():
            self.job.server.seats[name].applied = client.applied
            self.job.clients[name].wire.traffic = Traffic(**client.traffic)
        self._tell()

    def _tell(self) -> None:
        start = Start(
            plan=self.job.plan,
            settings=self.settings,
            statistics=self.statistics,
            clients=self.clients,
        )
        self.observer.begun(start)

    def steps(self) -> None:
        paces = {
            entry.name: Pace(
                step_seconds=entry.predicted.step_seconds,
                from_step=self.clients[entry.name].from_step,
                from_seconds=self.clients[entry.name].from_seconds,
            )
            for entry in self.job.plan.clients
        }
        begin_at = {name: client.next_step for name, client in self.clients.items()}
        total = self.settings.steps * len(self.clients)
        for arrival in arrivals(paces, self.settings.steps, begin_at):
            if self.clients[arrival.client].stopped is not None:
                continue
            self._stop_if_asked()
            record = self._step(arrival)
            self.log.write(record)
            self.steps_done += 1
            self._note(arrival.client, next_step=arrival.step + 1)
            self.observer.stepped(record, total)
            if self.steps_done % self.settings.checkpoint_every == 0:
                self._save()
        self._save()

    def finish(self) -> Summary:
        """Measure, export and sum up; the run is complete when its summary is there."""
        after = self._evaluate("after")
        job = self.job
        for name, client in job.clients.items():
            export_client(
                client,
                job.server.effective(name),
                job.head(name),
                self.folder / CLIENTS / name,
                job.plan.model,
                job.plan.settings.lora_rank,
            )
        summary = summarise(
            job,
            self.settings,
            records=read_metrics(self.folder / METRICS),
            statistics=self.statistics,
            stopped={name: client.stopped for name, client in self.clients.items()},
            before=self.before,
            after=after,
            wall_seconds=self._wall_seconds(),
        )
        write_contract(summary, self.folder / SUMMARY)
        return summary

    def _step(self, arrival: Arrival) -> StepRecord:
        name, job, waiting = arrival.client, self.job, self.waiting[arrival.client]
        traffic = job.clients[name].wire.traffic
        up, down, waited = traffic.up_bytes, traffic.down_bytes, waiting.seconds
        loss, problem = None, None
        try:
            loss = self._train(arrival)
        except StepError as error:
            problem = self._excuse(error)
        return StepRecord(
            step=self.steps_done,
            client=name,
            client_step=arrival.step,
            loss=loss,
            problem=problem,
            fleet_seconds=arrival.seconds,
            waiting_seconds=waiting.seconds - waited,
            up_bytes=traffic.up_bytes - up,
            down_bytes=traffic.down_bytes - down,
        )

    def _train(self, arrival: Arrival) -> float:
        name, job = arrival.client, self.job
        rows, batch = job.train[name], job.plan.settings.batch
        chosen = batch_indices(len(rows), batch, arrival.step, self.settings.seed, name)
        return job.clients[name].train_step(arrival.step, *job.batcher.batch(rows, chosen))

    def _excuse(self, error: StepError) -> str:
        """Apply the policy to a client whose step can't be taken; what is wrong with the step."""
        policy = self.settings.on_bad_numbers
        if policy == "stop-run":
            self._save()
            skip = f"{resume_command(self.folder)} --on-bad-numbers skip-step"
            raise RunError(error.message, f"{error.hint}; to go on without this step: {skip}")
        if policy == "stop-client":
            self._note(error.client, stopped=error.message)
        then = {"stop-client": "this client stops", "skip-step": "the step is skipped"}[policy]
        self.observer.note(f"{error.message}: {then}")
        return error.message

    def _note(self, client: str, **changes: object) -> None:
        self.clients[client] = self.clients[client].model_copy(update=changes)

    def _save(self) -> None:
        """Write a checkpoint, unless the last one stands here already."""
        if self.saved_steps == self.steps_done:
            return
        for name, client in self.job.clients.items():
            applied = self.job.server.seats[name].applied
            self._note(name, applied=applied, traffic=dict(vars(client.wire.traffic)))
        state = RunState(
            plan=self.job.plan,
            steps_done=self.steps_done,
            metrics_bytes=self.log.sync(),
            wall_seconds=self._wall_seconds(),
            before=self.before,
            clients=self.clients,
        )
        checkpoint.save(self.folder / CHECKPOINTS, state, capture(self.job))
        self.saved_steps = self.steps_done

    def _wall_seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.started

    def _stop_if_asked(self) -> None:
        if self.observer.should_stop():
            if self.saved_steps is not None:
                self._save()
            raise _StoppedError

    def _evaluate(self, when: str) -> dict[str, Accuracy]:
        job, done = self.job, 0

        def on_client() -> None:
            nonlocal done
            done += 1
            self.observer.evaluated(when, done, len(job.clients))
            self._stop_if_asked()

        self.observer.evaluated(when, 0, len(job.clients))
        return evaluate(job.clients, job.tests, job.batcher, job.plan.settings.batch, on_client)
