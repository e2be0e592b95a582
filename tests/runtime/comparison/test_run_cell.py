"""A cell: what is trained, measured and added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest
from flexp.errors import StepError
from flexp.runtime.algorithms.trainer import Trainer
from flexp.runtime.comparison.cell import Cell, CellResult
from flexp.runtime.comparison.prepare import make_task
from flexp.runtime.comparison.run_cell import run_cell
from flexp.runtime.scenario import Moment, Scenario

from ..jobs import CLIENTS, text_data
from .offices import small_cell

Checkpoint = Callable[[str], Path]


def silent(*what: object) -> None:
    pass


def outcome(cell: Cell) -> CellResult:
    return run_cell(cell, text_data(), silent, silent)


@pytest.mark.parametrize("name", ["flexp-sfl", "splitfed-v2", "fedavg", "fedper", "central"])
def test_a_cell_learns_and_adds_up(checkpoint: Checkpoint, name: str) -> None:
    options = {"learning_rate": 2e-2, "head_rate": 2e-2}
    cell = small_cell(checkpoint("bert"), name, steps=12, evaluate_every=6, options=options)
    found = outcome(cell)
    assert found.last_loss is not None and found.last_loss < 0.9 < log(3)
    assert list(found.clients) == list(CLIENTS)
    steps = 12 * (len(CLIENTS) if name == "central" else 1)
    for client in found.clients.values():
        assert (client.steps, client.fits, client.left) == (steps, True, False)
        assert (client.device_flops > 0) == (name != "central")
    assert [p.seconds for p in found.curve] == sorted(p.seconds for p in found.curve)
    points = [point.step for point in found.curve if point.client == "ada"]
    assert points == [0, steps // 2, steps]


def test_bytes_are_those_of_steps_and_of_averages(checkpoint: Checkpoint) -> None:
    """A step sends two messages of 4 · 16 · 32 floats, each with up to 512 bytes of framing, and a
    mask. An average moves the adapters of four blocks, query and value of rank 4 and width 32, and
    a head of 3 classes."""
    split = outcome(small_cell(checkpoint("bert"))).clients["ada"]
    assert split.up_bytes == 4 * (2 * (4 * 2048 + 512) + 64)
    assert split.down_bytes == 4 * 2 * (4 * 2048 + 512)
    averaged = outcome(small_cell(checkpoint("bert"), "fedavg", options={"round_steps": 2}))
    weights = 4 * (4 * 2 * 2 * 4 * 32 + 3 * 32 + 3)
    assert averaged.rounds == 2
    assert averaged.clients["ada"].up_bytes == 2 * weights
    head_stays = outcome(small_cell(checkpoint("bert"), "fedper", options={"round_steps": 2}))
    assert head_stays.clients["ada"].up_bytes == 2 * (weights - 4 * (3 * 32 + 3))


def test_the_barrier_makes_all_as_slow_as_the_slowest(checkpoint: Checkpoint) -> None:
    free, bound = (
        outcome(small_cell(checkpoint("bert"), name)).clients for name in ("flexp-sfl", "fedavg")
    )
    assert free["ada"].seconds < free["cy"].seconds / 3
    assert bound["ada"].seconds == bound["cy"].seconds


def test_who_drops_out_keeps_what_it_had(checkpoint: Checkpoint) -> None:
    scenario = Scenario(jitter=0, dropouts=(Moment(client="cy", at_seconds=6.0),))
    found = outcome(small_cell(checkpoint("bert"), scenario=scenario))
    assert (found.clients["cy"].left, found.clients["cy"].steps) == (True, 1)
    assert (found.clients["ada"].left, found.clients["ada"].steps) == (False, 4)


def test_one_seed_gives_one_result(checkpoint: Checkpoint) -> None:
    cell = small_cell(checkpoint("bert"))
    same = [outcome(cell).model_dump(exclude={"wall_seconds"}) for _ in range(2)]
    assert same[0] == same[1]
    other = outcome(cell.model_copy(update={"options": cell.options, "seed": 1}))
    assert other.key != same[0]["key"]


def test_validation_leaves_the_test_rows_alone(checkpoint: Checkpoint) -> None:
    """Three quarters and a quarter of the 16 training rows."""
    cell = small_cell(checkpoint("bert"))
    whole = make_task(cell, text_data(), silent)
    order = cell.data.model_copy(update={"held_out_share": 0.25})
    held = make_task(cell.model_copy(update={"data": order}), text_data(), silent)
    for name in CLIENTS:
        assert (len(held.train[name]), len(held.test[name])) == (12, 4)
        assert held.train[name].ids + held.test[name].ids == whole.train[name].ids


@pytest.mark.parametrize(("name", "models"), [("splitfed-v1", 1), ("flexp-sfl", len(CLIENTS))])
def test_equal_models_are_measured_once(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, name: str, models: int
) -> None:
    """splitfed-v1 ends with an average, after which all have one model: the same on everyone's
    rows."""
    modes: list[str] = []
    real = Trainer.accuracy

    def counted(self: Trainer, trainee: str, batches: Any, mode: Any, *rest: Any) -> float:
        modes.append(mode)
        return real(self, trainee, batches, mode, *rest)

    monkeypatch.setattr(Trainer, "accuracy", counted)
    found = outcome(small_cell(checkpoint("bert"), name))
    assert modes.count("global") == models
    if models == 1:
        assert len({client.overall for client in found.clients.values()}) == 1


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_prior_tells_personal_from_global(checkpoint: Checkpoint, bfloat16: bool) -> None:
    """With rates of almost nothing, a head that starts at zero knows the prior alone: in personal
    mode it predicts the class that is most frequent in the client's training rows."""
    options: dict[str, Any] = {"head_start": "zero", "learning_rate": 1e-12, "head_rate": 1e-12}
    options["label_prior"] = True
    cell = small_cell(checkpoint("bert"), "local", options=options, bfloat16=bfloat16)
    task, found = make_task(cell, text_data(), silent), outcome(cell)
    for name in CLIENTS:
        (usual, count), (_, second), *_ = Counter(task.train[name].labels).most_common()
        labels = task.test[name].labels
        assert count > second
        assert found.clients[name].personal == labels.count(usual) / len(labels)


def test_numbers_that_are_not_finite_are_named(checkpoint: Checkpoint) -> None:
    options = {"learning_rate": 1e30, "head_rate": 1e30}
    with pytest.raises(StepError, match="the loss is"):
        outcome(small_cell(checkpoint("bert"), "local", options=options))
