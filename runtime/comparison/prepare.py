"""What a cell trains on: every client's rows, its part of the model, and what a step costs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ...catalog.models.build import load_model
from ...catalog.models.entry import checkpoint_folder, load_config
from ...catalog.progress import Progress
from ..algorithms.algorithm import Algorithm
from ..algorithms.precision import write_out_attention
from ..algorithms.trainer import Trainee
from ..assemble import start_head
from ..batches import Batcher, Encoded
from ..data import TextData
from ..fleet_clock import Course
from ..partition import ClientData, Partition, divide
from ..tasks import batcher_for, classes_of, with_tags
from .cell import Cell
from .costs import StepCost, split_cost, transfer_seconds, whole_cost

EVERYONE = "(everyone)"
"""Who trains where all rows are in one place."""


@dataclass(frozen=True)
class Task:
    """A model as everyone starts with it, and the rows of every client."""

    model: Any
    """A TaskModel."""
    batcher: Batcher
    train: dict[str, Encoded]
    test: dict[str, Encoded]
    classes: int


def make_task(cell: Cell, data: TextData, progress: Progress) -> Task:
    """Raises EmptyDataError, LabelError, FieldError, DownloadError or UnsupportedModelError."""
    settings = cell.profile.settings
    data = with_tags(data, settings.task)
    partition = _divided(cell, data)
    classes = classes_of(data, settings.task, partition.classes)
    folder = checkpoint_folder(cell.model, progress)
    settings = settings.model_copy(update={"labels": len(classes)})
    model = load_model(folder, load_config(cell.model), settings)
    if cell.bfloat16:
        write_out_attention(model.backbone)
    batcher = batcher_for(settings.task, folder, model.backbone, settings.length, data)
    names = tuple(data.class_names.get(label, label) for label in classes)
    start_head(model, batcher, names if cell.options.head_start == "names" else ())
    parts = partition.clients.items()
    return Task(
        model=model,
        batcher=batcher,
        train={name: batcher.encode(own.train, classes) for name, own in parts},
        test={name: batcher.encode(own.test, classes) for name, own in parts},
        classes=len(classes),
    )


def _divided(cell: Cell, data: TextData) -> Partition:
    order = cell.data
    partition = divide(
        data,
        tuple(cell.members),
        scheme=order.partition,
        seed=cell.seed,
        train_samples=order.train_samples,
        test_samples=order.test_samples,
    )
    if order.held_out_share is None:
        return partition
    parts = {name: _held_out(own, order.held_out_share) for name, own in partition.clients.items()}
    return replace(partition, clients=parts)


def _held_out(own: ClientData, share: float) -> ClientData:
    """The last training rows in place of the test rows; one at least, and all but one at most."""
    held_out = max(1, min(round(share * len(own.train)), len(own.train) - 1))
    return ClientData(train=own.train[:-held_out], test=own.train[-held_out:])


def spans_of(cell: Cell, algorithm: Algorithm) -> dict[str, range]:
    """The blocks that a server runs for each client."""
    blocks = cell.profile.blocks
    if algorithm.where in ("device", "server"):
        return dict.fromkeys((*cell.members, EVERYONE), range(0))
    common = min(member.depth for member in cell.members.values())
    return {
        name: range(algorithm.depth(member.depth, common, blocks), blocks - member.top)
        for name, member in cell.members.items()
    }


def trainees_of(
    cell: Cell, algorithm: Algorithm, train: Mapping[str, Encoded], spans: Mapping[str, range]
) -> dict[str, Trainee]:
    """Who trains: the clients, or EVERYONE in their place with all rows and all steps."""
    if algorithm.where == "server":
        rows = Encoded(
            ids=tuple(chain.from_iterable(own.ids for own in train.values())),
            labels=tuple(chain.from_iterable(own.labels for own in train.values())),
        )
        return {EVERYONE: Trainee(train=rows, steps=cell.steps * len(train), span=range(0))}
    return {
        name: Trainee(
            train=rows, steps=cell.steps, span=spans[name], codec=cell.members[name].codec
        )
        for name, rows in train.items()
    }


def costs_of(cell: Cell, algorithm: Algorithm, spans: Mapping[str, range]) -> dict[str, StepCost]:
    """A step's costs for everyone who trains."""
    profile, server = cell.profile, cell.server
    if algorithm.where == "server":
        machine = next(iter(cell.members.values())).model_copy(update={"device": server.device})
        cost = whole_cost(profile, machine, server)
        return {EVERYONE: replace(cost, device_flops=0, peak_memory_bytes=0)}
    if algorithm.where == "device":
        return {name: whole_cost(profile, own, server) for name, own in cell.members.items()}
    reference = cell.options.alignment in ("feature", "both")
    return {
        name: split_cost(
            profile, own, spans[name].start, server, algorithm.middle, reference=reference
        )
        for name, own in cell.members.items()
    }


def courses_of(
    cell: Cell,
    algorithm: Algorithm,
    trainees: Mapping[str, Trainee],
    costs: Mapping[str, StepCost],
    averaged_bytes: Mapping[str, int],
) -> dict[str, Course]:
    """What each trainee does on the fleet's clock; a round is an epoch where nothing is said."""
    batch = cell.profile.settings.batch
    epoch = max(-(-len(trainee.train) // batch) for trainee in trainees.values())
    courses = {}
    for name, trainee in trainees.items():
        barriers = algorithm.barriers(trainee.steps, cell.options.round_steps or epoch)
        send = receive = 0.0
        if barriers:
            own = cell.members[name]
            send, receive = transfer_seconds(averaged_bytes[name], own, cell.server)
        courses[name] = Course(
            times=costs[name].times,
            steps=trainee.steps,
            barriers=barriers,
            send_seconds=send,
            receive_seconds=receive,
        )
    return courses
