"""A small fleet under any algorithm, trained step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from flexp.catalog.models.build import load_model
from flexp.catalog.models.entry import load_config
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.algorithms.algorithm import Algorithm, Options
from flexp.runtime.algorithms.registry import make_algorithm
from flexp.runtime.algorithms.trainer import Trainee, Trainer
from flexp.runtime.batches import Batcher
from flexp.runtime.fleet_clock import Course, Event, Kind, StepTimes, events
from flexp.runtime.partition import divide
from flexp.runtime.scenario import CALM, Scenario
from transformers import AutoTokenizer

from ..jobs import CLIENTS, text_data

BLOCKS, STEPS, ROUND = 4, 6, 4
DEPTHS = {"ada": 1, "bo.2": 2, "cy": 3}


def trainer(
    folder: Path,
    name: str,
    *,
    method: str = "lora",
    algorithm: Algorithm | None = None,
    codec: str = "fp32",
    targets: tuple[str, ...] = (),
    **options: Any,
) -> Trainer:
    """Three clients with 16 rows each, in batches of 4."""
    chosen = Options(**{"learning_rate": 1e-2, "head_start": "zero", **options})
    made = algorithm or make_algorithm(name, chosen)
    settings = ProfileSettings(
        labels=3, batch=4, length=16, lora_rank=4, method=method, lora_targets=targets
    )
    model = load_model(folder, load_config(str(folder)), settings)
    torch.manual_seed(3)
    torch.nn.init.normal_(model.head.weight, std=0.3)  # a head of zeros gives the body no gradient
    torch.nn.init.zeros_(model.head.bias)
    batcher = Batcher(AutoTokenizer.from_pretrained(folder), 16)
    data = divide(text_data(), CLIENTS, scheme=None, seed=0, train_samples=None, test_samples=None)
    trainees = {}
    for client, part in data.clients.items():
        depth = made.depth(DEPTHS[client], min(DEPTHS.values()), BLOCKS)
        trainees[client] = Trainee(
            train=batcher.encode(part.train, data.classes),
            steps=STEPS,
            span=range(depth, BLOCKS),
            codec=codec,
        )
    return Trainer(model, made, chosen, trainees, batcher, settings, seed=0)


def clock(made: Trainer, scenario: Scenario = CALM) -> Iterator[Event]:
    """Devices of three speeds, and a server that takes its time."""
    courses = {}
    for number, (client, own) in enumerate(made.trainees.items(), 1):
        split = len(own.span) > 0
        times = StepTimes(
            device_seconds=(0.3 * number, 0.1, 0.2) if split else (float(number),),
            up_seconds=(0.1, 0.1) if split else (),
            server_seconds=(0.2, 0.25) if split else (),
            down_seconds=(0.1, 0.1) if split else (),
        )
        barriers = made.holdings.algorithm.barriers(STEPS, ROUND)
        courses[client] = Course(times=times, steps=STEPS, barriers=barriers)
    return events(courses, scenario)


def one_by_one(order: Iterable[tuple[str, int]]) -> Iterator[Event]:
    """Steps that nothing comes between."""
    for number, (client, step) in enumerate(order):
        for kind in (Kind.MEET, Kind.APPLY, Kind.DONE):
            yield Event(float(number), kind, client, step)


def weights(made: Trainer, client: str) -> dict[tuple[int, int], torch.Tensor]:
    """All that a client's model adds to the pre-trained one: by part and number."""
    return {
        (part, number): parameter.detach()
        for owner, part in made.holdings.keys(client)
        for number, parameter in enumerate(made.holdings.held[owner, part].parameters)
    }
