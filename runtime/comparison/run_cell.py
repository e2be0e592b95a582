"""Run one cell: the fleet's clock drives the training loop, and the costs of steps are added up."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain

from ...catalog.progress import Progress
from ..algorithms.registry import make_algorithm
from ..algorithms.trainer import Trainer
from ..data import TextData
from ..evaluate import head
from ..fleet_clock import Event, Kind, events
from ..label_prior import log_prior
from .cell import Cell, CellResult, ClientResult, Measured
from .prepare import EVERYONE, costs_of, courses_of, make_task, spans_of, trainees_of

FLOAT_BYTES = 4
OnStep = Callable[[int, int], None]
"""(steps done, steps) of the cell."""


def run_cell(cell: Cell, data: TextData, progress: Progress, on_step: OnStep) -> CellResult:
    """Train and measure. Raises as `make_task` and `Trainer`, and StepError where numbers stop
    being finite."""
    begun = time.monotonic()
    run = _Run(cell, data, progress)
    run.train(on_step)
    return run.result(time.monotonic() - begun)


class _Run:
    def __init__(self, cell: Cell, data: TextData, progress: Progress) -> None:
        self.cell, self.task = cell, make_task(cell, data, progress)
        self.algorithm = make_algorithm(cell.algorithm, cell.options)
        self.spans = spans_of(cell, self.algorithm)
        trainees = trainees_of(cell, self.algorithm, self.task.train, self.spans)
        self.trainer = Trainer(
            self.task.model,
            self.algorithm,
            cell.options,
            trainees,
            self.task.batcher,
            cell.profile.settings,
            cell.seed,
            bfloat16=cell.bfloat16,
        )
        self.costs = costs_of(cell, self.algorithm, self.spans)
        self.averaged_bytes = {name: self._averaged_bytes(name) for name in trainees}
        self.courses = courses_of(cell, self.algorithm, trainees, self.costs, self.averaged_bytes)
        self.curve: list[Measured] = []
        self.losses: list[float] = []
        self.rounds = 0
        self.done = dict.fromkeys(trainees, 0)
        self.averages = dict.fromkeys(trainees, 0)
        self.ended = dict.fromkeys(trainees, 0.0)
        self.left: set[str] = set()
        self.overall: dict[tuple[range, str, bytes], float] = {}
        """Accuracy on everyone's rows, by model."""

    def _averaged_bytes(self, trainee: str) -> int:
        """Of the weights that go up, and down again, at the end of a round. What a server keeps
        for a client stays where it is."""
        holdings = self.trainer.holdings
        parts = set(holdings.averaged_parts(trainee)) - set(self.spans[trainee])
        held = (holdings.held[trainee, part].parameters for part in parts)
        return FLOAT_BYTES * sum(p.numel() for own in held for p in own)

    @property
    def central(self) -> bool:
        return self.algorithm.where == "server"

    def train(self, on_step: OnStep) -> None:
        total = sum(course.steps for course in self.courses.values())
        for name in self.courses:
            self._measure(name, 0.0)
        happening = events(self.courses, self.cell.scenario, self.cell.server.accelerators)
        for event, loss in self.trainer.follow(happening):
            members = event.members or (event.client,)
            for name in members:
                self.ended[name] = event.seconds
            if event.kind is Kind.LEAVE:
                self.left.add(event.client)
            elif event.kind is Kind.AVERAGE:
                self.rounds += 1
                for name in members:
                    self.averages[name] += 1
            elif event.kind is Kind.DONE and loss is not None:
                self.losses.append(loss)
                self.done[event.client] = event.step + 1
                on_step(len(self.losses), total)
            self._measure_if_due(event)
        for name in self.courses:
            self._measure(name, self.ended[name])
        self.curve.sort(key=lambda point: point.seconds)

    def _measure_if_due(self, event: Event) -> None:
        """After a step, or after the average where a round ends with it; the last is measured in
        the end."""
        every = self.cell.evaluate_every * (len(self.cell.members) if self.central else 1)
        if event.kind not in (Kind.DONE, Kind.AVERAGE):
            return
        for name in event.members or (event.client,):
            steps, course = self.done[name], self.courses[name]
            averages = steps - 1 in course.barriers
            due = steps % every == 0 and steps < course.steps
            if due and averages == (event.kind is Kind.AVERAGE):
                self._measure(name, event.seconds)

    def _measure(self, trainee: str, seconds: float) -> None:
        for client in self.cell.members if self.central else (trainee,):
            point = Measured(
                client=client,
                step=self.done[trainee],
                seconds=seconds,
                accuracy=self._personal(client),
            )
            self.curve.append(point)

    def _owner(self, client: str) -> str:
        """Whose model is the client's."""
        return EVERYONE if self.central else client

    def _personal(self, client: str) -> float:
        task = self.task
        prior = log_prior(task.train[client].labels, task.classes)
        batches = task.batcher.in_order(task.test[client], 2 * self.trainer.batch_size)
        return self.trainer.accuracy(self._owner(client), batches, "personal", prior)

    def _overall(self, client: str) -> float:
        """Clients that have the same model are measured once."""
        identity = self.trainer.identity(self._owner(client))
        if identity not in self.overall:
            self.overall[identity] = self._measured_overall(client)
        return self.overall[identity]

    def _measured_overall(self, client: str) -> float:
        sets = [head(rows, self.cell.global_rows) for rows in self.task.test.values()]
        size = 2 * self.trainer.batch_size
        batches = chain.from_iterable(self.task.batcher.in_order(rows, size) for rows in sets)
        return self.trainer.accuracy(self._owner(client), batches, "global")

    def result(self, wall_seconds: float) -> CellResult:
        cell = self.cell
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return CellResult(
            key=cell.key,
            label=cell.label,
            algorithm=cell.algorithm,
            seed=cell.seed,
            clients={name: self._client(name) for name in cell.members},
            curve=tuple(self.curve),
            rounds=self.rounds,
            last_loss=sum(tail) / len(tail) if tail else None,
            wall_seconds=wall_seconds,
        )

    def _client(self, name: str) -> ClientResult:
        owner = self._owner(name)
        cost, device = self.costs[owner], self.cell.members[name].device
        steps, moved = self.done[owner], self.averages[owner] * self.averaged_bytes[owner]
        return ClientResult(
            personal=[point.accuracy for point in self.curve if point.client == name][-1],
            overall=self._overall(name),
            steps=steps,
            up_bytes=steps * cost.up_bytes + moved,
            down_bytes=steps * cost.down_bytes + moved,
            device_flops=steps * cost.device_flops,
            peak_memory_bytes=cost.peak_memory_bytes,
            fits=cost.peak_memory_bytes <= device.usable_memory_bytes,
            seconds=self.ended[owner],
            left=owner in self.left,
        )
