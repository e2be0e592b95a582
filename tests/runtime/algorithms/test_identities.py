"""What must be equal whatever is trained, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from flexp.runtime.algorithms.algorithm import WHOLE, Algorithm
from flexp.runtime.algorithms.trainer import Trainer
from flexp.runtime.schedule import Pace, arrivals

from ..jobs import CLIENTS, run, small_plan
from .fleets import STEPS, clock, one_by_one, trainer, weights

Checkpoint = Callable[[str], Path]


def trained(made: Trainer) -> Trainer:
    losses = [loss for _, loss in made.follow(clock(made)) if loss is not None]
    assert len(losses) == STEPS * len(made.trainees)
    return made


def assert_same(one: Trainer, other: Trainer) -> None:
    for client in CLIENTS:
        expected, got = weights(one, client), weights(other, client)
        assert expected.keys() == got.keys()
        assert [k for k in expected if not torch.equal(expected[k], got[k])] == []


@pytest.mark.parametrize(
    ("method", "targets"), [("lora", ()), ("lora", ("projection",)), ("full", ()), ("head", ())]
)
def test_a_personal_server_side_is_local(
    checkpoint: Checkpoint, method: str, targets: tuple[str, ...]
) -> None:
    folder = checkpoint("bert")
    split = trainer(folder, "flexp-sfl", server_side="personal", method=method, targets=targets)
    alone = trainer(folder, "local", method=method, targets=targets)
    assert_same(trained(split), trained(alone))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_splitfed_v1_with_every_part_averaged_is_fedavg(
    checkpoint: Checkpoint, method: str
) -> None:
    folder = checkpoint("bert")
    split = trained(trainer(folder, "splitfed-v1", method=method))
    assert_same(split, trained(trainer(folder, "fedavg", method=method)))


def test_an_averaging_algorithm_without_averaging_is_local(checkpoint: Checkpoint) -> None:
    folder = checkpoint("bert")
    alone = Algorithm(where="common", averaged=frozenset())
    assert_same(trained(trainer(folder, "", algorithm=alone)), trained(trainer(folder, "local")))
    averaged = trained(trainer(folder, "", algorithm=Algorithm(where="common", averaged=WHOLE)))
    ada, cy = (weights(averaged, client) for client in ("ada", "cy"))
    assert all(torch.equal(ada[key], cy[key]) for key in ada)


def test_splitfed_v2_is_flexp_at_one_depth_but_for_the_average(checkpoint: Checkpoint) -> None:
    """Until the first round ends the two are the same algorithm."""
    folder = checkpoint("bert")
    flexp = trainer(folder, "", algorithm=Algorithm(where="common", middle="shared"))
    splitfed = trainer(folder, "splitfed-v2")
    order = [(client, step) for step in range(2) for client in CLIENTS]
    for made in (flexp, splitfed):
        list(made.follow(one_by_one(order)))
    assert_same(flexp, splitfed)


@pytest.mark.parametrize(
    ("server_side", "label_prior", "targets"),
    [
        ("shared", False, ()),
        ("shared", True, ("projection",)),
        ("personal", False, ("projection",)),
        ("aligned", False, ()),
        ("aligned", False, ("projection",)),
    ],
)
def test_the_loop_trains_as_the_runtime_does(
    tmp_path: Path,
    checkpoint: Checkpoint,
    server_side: str,
    label_prior: bool,
    targets: tuple[str, ...],
) -> None:
    """`flexp train`, with its client, server and wire, in the order in which it takes steps."""
    plan = small_plan(checkpoint("bert"), server_side=server_side, targets=targets)
    run(plan, tmp_path, label_prior=label_prior)
    made = trainer(
        checkpoint("bert"),
        "flexp-sfl",
        server_side=server_side,
        label_prior=label_prior,
        targets=targets,
    )
    with torch.no_grad():
        start = run_start(tmp_path, plan)
        for client in CLIENTS:
            made.holdings.held[client, -2].weights.load_state_dict(start)
    steps = dict.fromkeys(CLIENTS, plan.steps_per_client)
    made.trainees = {
        name: type(own)(**{**vars(own), "steps": plan.steps_per_client})
        for name, own in made.trainees.items()
    }
    paces = {e.name: Pace(step_seconds=e.predicted.step_seconds) for e in plan.clients}
    order = [(arrival.client, arrival.step) for arrival in arrivals(paces, steps)]
    list(made.follow(one_by_one(order)))
    for client in CLIENTS:
        head = safetensors.torch.load_file(tmp_path / "clients" / client / "head.safetensors")
        own = made.holdings.held[client, -2].weights.state_dict()
        for name in head:
            torch.testing.assert_close(own[name], head[name], rtol=1e-4, atol=1e-6)


def run_start(folder: Path, plan: object) -> dict[str, torch.Tensor]:
    """The head that `flexp train` starts with."""
    from flexp.runtime.assemble import assemble

    from ..jobs import settings_for, text_data

    job = assemble(plan, settings_for(plan), text_data(), lambda what, done, total: None)
    return job.clients["ada"].model.head.state_dict()
