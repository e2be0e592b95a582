"""The loop of a run: steps in order of arrival, checkpoints, and what is left at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..catalog.files import write_contract
from ..errors import RunError, StepError
from . import checkpoint
from .assemble import Job
from .batches import batch_indices
from .evaluate import Accuracy, accuracy, evaluate
from .job_tensors import capture, restore
from .metrics import MetricsLog, read_metrics
from .observer import Observer, Start
from .records import StepRecord, Summary, TrainSettings
from .run_folder import CHECKPOINTS, CLIENTS, METRICS, PLAN, SUMMARY, begin, resume_command
from .schedule import Arrival, Pace, arrivals, groups, steps_of
from .state import ClientState, Move, RunState
from .statistics import describe
from .summary import summarise
from .together import Together
from .waiting import Waiting
from .wire import Traffic


class StoppedError(Exception):
    """Somebody asked to stop; the checkpoint is written."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of a client's step."""

    loss: float | None
    error: StepError | None
    """Why the step could not be taken."""
    seconds: float
    waiting_seconds: float
    up_bytes: int
    down_bytes: int


class Run:
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
        steps = steps_of(job.plan, settings.steps)
        self.clients = {name: ClientState(steps=steps[name]) for name in job.clients}
        self.fleet_seconds = 0.0
        self.moves: tuple[Move, ...] = ()
        self.batches = {client.name: client.batch for client in job.plan.clients}
        self.statistics = describe(job.partition, job.train, job.batcher.length)
        self.together = Together(job.server.handle, job.server.handle_all, settings.together)
        self.waiting: dict[str, Waiting] = {}
        for name, client in job.clients.items():
            self.waiting[name] = client.wire.deliver = Waiting(self.together.deliver)
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
        write_contract(self.job.plan, self.folder / PLAN)  # a redeployment may have been cut off
        self.earlier_seconds, self.steps_done = found.state.wall_seconds, found.state.steps_done
        self.saved_steps = self.steps_done
        self.before, self.clients = found.state.before, dict(found.state.clients)
        self.fleet_seconds, self.moves = found.state.fleet_seconds, found.state.moves
        for name, client in self.clients.items():
            self.job.server.seats[name].applied = client.applied
            self.job.clients[name].wire.traffic = Traffic(**client.traffic)
            self.job.set_steps(name, client.steps)
        self._tell()

    def _tell(self) -> None:
        start = Start(
            plan=self.job.plan,
            settings=self.settings,
            statistics=self.statistics,
            clients=self.clients,
            earlier=read_metrics(self.folder / METRICS),
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
        steps = {name: client.steps for name, client in self.clients.items()}
        total = sum(steps.values())
        order, every = arrivals(paces, steps, begin_at), self.settings.checkpoint_every
        for group in groups(order, self.settings.together, self._has_stopped):
            self._stop_if_asked()
            periods = self.steps_done // every
            results = self.together.run([partial(self._take, arrival) for arrival in group])
            for arrival, taken in zip(group, results, strict=True):
                record = self._record(arrival, taken)
                self.log.write(record)
                self.steps_done, self.fleet_seconds = self.steps_done + 1, arrival.seconds
                self._note(arrival.client, next_step=arrival.step + 1)
                self.observer.stepped(record, total)
            if self.steps_done // every > periods:
                self._save()
        self._save()

    def _has_stopped(self, client: str) -> bool:
        return self.clients[client].stopped is not None

    def finish(self) -> Summary:
        """Measure, export and sum up; the run is complete when its summary is there."""
        after = self._evaluate("after")
        job = self.job
        for name in job.clients:
            job.export(name, self.folder / CLIENTS / name)
        summary = summarise(
            job,
            self.settings,
            records=read_metrics(self.folder / METRICS),
            statistics=self.statistics,
            clients=self.clients,
            moves=self.moves,
            before=self.before,
            after=after,
            wall_seconds=self._wall_seconds(),
        )
        write_contract(summary, self.folder / SUMMARY)
        return summary

    def _take(self, arrival: Arrival) -> Taken:
        """The step; of the run, only what is the client's own is touched."""
        traffic = self.job.clients[arrival.client].wire.traffic
        waiting = self.waiting[arrival.client]
        up, down, waited = traffic.up_bytes, traffic.down_bytes, waiting.seconds
        loss, problem, began = None, None, time.monotonic()
        try:
            loss = self._train(arrival)
        except StepError as error:
            problem = error
        return Taken(
            loss=loss,
            error=problem,
            seconds=time.monotonic() - began,
            waiting_seconds=waiting.seconds - waited,
            up_bytes=traffic.up_bytes - up,
            down_bytes=traffic.down_bytes - down,
        )

    def _record(self, arrival: Arrival, taken: Taken) -> StepRecord:
        return StepRecord(
            step=self.steps_done,
            client=arrival.client,
            client_step=arrival.step,
            loss=taken.loss,
            problem=self._excuse(taken.error) if taken.error is not None else None,
            accuracy=self._accuracy(arrival.client) if self._due(arrival) else None,
            fleet_seconds=arrival.seconds,
            waiting_seconds=taken.waiting_seconds,
            step_seconds=taken.seconds,
            up_bytes=taken.up_bytes,
            down_bytes=taken.down_bytes,
        )

    def _train(self, arrival: Arrival) -> float:
        name, job = arrival.client, self.job
        rows, seed = job.train[name], self.settings.seed
        chosen = batch_indices(len(rows), self.batches[name], arrival.step, seed, name)
        return job.clients[name].train_step(arrival.step, *job.batcher.batch(rows, chosen))

    def _due(self, arrival: Arrival) -> bool:
        """Whether accuracy is to be measured after a client's step; after the last it is anyway."""
        every, done = self.settings.evaluate_every, arrival.step + 1
        last = done == self.clients[arrival.client].steps
        return every is not None and done % every == 0 and not last

    def _accuracy(self, client: str) -> float:
        rows = self.job.batcher.in_order(self.job.tests.own[client], self.batches[client])
        return accuracy(self.job.clients[client], rows)

    def _excuse(self, error: StepError) -> str:
        """Apply the policy to a client whose step can't be taken; what is wrong with the step."""
        policy = self.settings.on_bad_numbers
        if policy == "stop-run":
            if self.settings.together == 1:  # of a group, the others' steps would have to be undone
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
            fleet_seconds=self.fleet_seconds,
            wall_seconds=self._wall_seconds(),
            before=self.before,
            clients=self.clients,
            moves=self.moves,
        )
        checkpoint.save(self.folder / CHECKPOINTS, state, capture(self.job))
        self.saved_steps = self.steps_done

    def _wall_seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.started

    def _stop_if_asked(self) -> None:
        if self.observer.should_stop():
            if self.saved_steps is not None:
                self._save()
            raise StoppedError

    def _evaluate(self, when: str) -> dict[str, Accuracy]:
        job, done = self.job, 0

        def on_client() -> None:
            nonlocal done
            done += 1
            self.observer.evaluated(when, done, len(job.clients))
            self._stop_if_asked()

        self.observer.evaluated(when, 0, len(job.clients))
        return evaluate(job.clients, job.tests, job.batcher, max(self.batches.values()), on_client)
