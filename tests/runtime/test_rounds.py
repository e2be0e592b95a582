"""Clients with batches, and so numbers of steps, of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.planner.plan import Plan
from flexp.runtime.client import Client
from flexp.runtime.schedule import steps_of

from .jobs import CLIENTS, STEPS, assert_same_end, metrics, run, small_plan, with_depths

Checkpoint = Callable[[str], Path]


def with_batches(plan: Plan, *batches: int) -> Plan:
    """Of the round's 4 samples; a client with half the batch takes twice the steps."""
    clients = [
        entry.model_copy(update={"batch": batch, "steps": plan.steps_per_client * 4 // batch})
        for entry, batch in zip(plan.clients, batches, strict=True)
    ]
    return plan.model_copy(update={"clients": tuple(clients)})


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Rows of each step of each client."""
    seen: dict[str, list[int]] = {name: [] for name in CLIENTS}
    real = Client.train_step

    def train_step(self: Client, step: int, inputs: object, labels: object) -> float:
        seen[self.name].append(len(labels))  # type: ignore[arg-type]
        return real(self, step, inputs, labels)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "train_step", train_step)
    return seen


def test_smaller_batches_take_more_steps(
    tmp_path: Path, checkpoint: Checkpoint, rows: dict[str, list[int]]
) -> None:
    plan = with_batches(small_plan(checkpoint("bert")), 4, 2, 1)
    summary = run(plan, tmp_path)
    assert summary is not None
    assert rows == {"ada": [4] * STEPS, "bo.2": [2] * 2 * STEPS, "cy": [1] * 4 * STEPS}
    for name, factor in zip(CLIENTS, (1, 2, 4), strict=True):
        client = summary.clients[name]
        assert (client.steps, client.steps_planned) == (factor * STEPS, factor * STEPS)


def test_fewer_rounds_are_fewer_steps_of_everyone(checkpoint: Checkpoint) -> None:
    plan = with_batches(small_plan(checkpoint("bert")), 4, 2, 1)
    assert steps_of(plan, 3) == {"ada": 3, "bo.2": 6, "cy": 12}


def test_a_resumed_run_keeps_them(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = with_batches(small_plan(checkpoint("bert")), 4, 2, 1)
    run(plan, tmp_path / "whole")
    run(plan, tmp_path / "parts", stop_after=11)
    run(plan, tmp_path / "parts", resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_another_batch_in_a_new_plan_works_through_the_same_samples(
    tmp_path: Path, checkpoint: Checkpoint, rows: dict[str, list[int]]
) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=7)
    done = {name: len(own) for name, own in rows.items()}
    run(with_batches(with_depths(plan, 2, 2, 3), 2, 4, 4), tmp_path, resume=True)
    assert done["ada"] > 0
    assert rows["ada"] == [4] * done["ada"] + [2] * 2 * (STEPS - done["ada"])
    assert rows["cy"] == [4] * STEPS
    steps = [line["client_step"] for line in metrics(tmp_path) if line["client"] == "ada"]
    assert steps == list(range(len(rows["ada"])))


def test_accuracy_is_measured_on_the_way(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = with_batches(small_plan(checkpoint("bert")), 4, 2, 4)
    run(plan, tmp_path / "measured", evaluate_every=2)
    run(plan, tmp_path / "not")
    measured, plain = metrics(tmp_path / "measured"), metrics(tmp_path / "not")
    where = [
        (line["client"], line["client_step"]) for line in measured if line["accuracy"] is not None
    ]
    bo = [("bo.2", step) for step in (1, 3, 5, 7)]
    assert sorted(where) == sorted([("ada", 1), ("ada", 3), *bo, ("cy", 1), ("cy", 3)])
    assert [{**line, "accuracy": None} for line in measured] == plain
