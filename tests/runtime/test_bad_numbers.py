"""A client whose step can't be taken stops, skips it or stops the run, by policy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from flexp.errors import RunError, StepError
from flexp.runtime.client import Client
from flexp.runtime.run_folder import completed

from .jobs import CLIENTS, STEPS, assert_same_end, metrics, run, small_plan

Checkpoint = Callable[[str], Path]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection[tuple[str, int]]], None]:
    """Makes some (client, step) fail as a loss that is no number does."""
    real = Client.train_step

    def fail_at(places: Collection[tuple[str, int]]) -> None:
        def train_step(self: Client, step: int, *batch: object) -> float:
            if (self.name, step) in places:
                raise StepError(self.name, step, "the loss is nan", "lower the learning rates")
            return real(self, step, *batch)

        monkeypatch.setattr(Client, "train_step", train_step)

    return fail_at


Fail = Callable[[Collection[tuple[str, int]]], None]


def test_a_client_stops_and_the_others_go_on(
    tmp_path: Path, checkpoint: Checkpoint, failing: Fail
) -> None:
    failing({("bo.2", 2)})
    notes: list[str] = []
    summary = run(small_plan(checkpoint("bert")), tmp_path, notes=notes)
    assert summary is not None
    assert [client.steps for client in summary.clients.values()] == [STEPS, 2, STEPS]
    assert summary.clients["bo.2"].stopped == "client 'bo.2', step 2: the loss is nan"
    assert summary.clients["ada"].stopped is None
    assert "client 'bo.2', step 2: the loss is nan: this client stops" in notes
    own = [line for line in metrics(tmp_path) if line["client"] == "bo.2"]
    assert [(line["client_step"], line["loss"] is None) for line in own] == [
        (0, False),
        (1, False),
        (2, True),
    ]
    assert own[2]["problem"] == "client 'bo.2', step 2: the loss is nan"
    assert (tmp_path / "clients" / "bo.2" / "head.safetensors").exists()


def test_a_model_that_broke_down_predicts_nothing_and_the_others_are_measured(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Client.train_step

    def train_step(self: Client, step: int, *batch: object) -> float:
        loss = real(self, step, *batch)
        if (self.name, step) == ("bo.2", 1):
            next(self.adapter.parameters()).detach().fill_(float("inf"))
        return loss

    plan = small_plan(checkpoint("bert"))
    before = run(plan, tmp_path / "well")
    monkeypatch.setattr(Client, "train_step", train_step)
    summary = run(plan, tmp_path / "ill", evaluate_every=2)
    assert before is not None and summary is not None
    bo = summary.clients["bo.2"]
    assert (
        bo.stopped == "client 'bo.2', step 2: the activation that goes to the server is not finite"
    )
    assert (bo.after.personal, bo.after.overall) == (0, 0) != before.clients["bo.2"].after.personal
    measured = [line["accuracy"] for line in metrics(tmp_path / "ill") if line["client"] == "bo.2"]
    assert measured[1:] == [0.0, None]
    for name in ("ada", "cy"):
        assert summary.clients[name].steps == STEPS
        assert summary.clients[name].after.personal > 0


def test_a_step_is_skipped(tmp_path: Path, checkpoint: Checkpoint, failing: Fail) -> None:
    failing({("ada", 0), ("ada", 3)})
    summary = run(small_plan(checkpoint("bert")), tmp_path, on_bad_numbers="skip-step")
    assert summary is not None
    ada = summary.clients["ada"]
    assert (ada.steps, ada.skipped_steps, ada.stopped) == (STEPS - 2, 2, None)
    losses = [line["loss"] for line in metrics(tmp_path) if line["client"] == "ada"]
    assert [loss is None for loss in losses] == [True, False, False, True, False]
    assert (ada.first_loss, ada.last_loss) == (losses[1], losses[4])


@pytest.mark.parametrize("policy", ["stop-client", "skip-step"])
@pytest.mark.parametrize("stop_after", [5, 8])
def test_a_resumed_run_remembers_who_stopped(
    tmp_path: Path, checkpoint: Checkpoint, failing: Fail, policy: str, stop_after: int
) -> None:
    failing({("ada", 3)})
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path / "whole", on_bad_numbers=policy)
    run(plan, tmp_path / "parts", stop_after=stop_after, on_bad_numbers=policy)
    summary = run(plan, tmp_path / "parts", resume=True, on_bad_numbers=policy)
    assert summary is not None
    assert (summary.clients["ada"].stopped is not None) == (policy == "stop-client")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_the_run_stops_and_goes_on_under_another_policy(
    tmp_path: Path, checkpoint: Checkpoint, failing: Fail
) -> None:
    failing({("cy", 2)})
    plan = small_plan(checkpoint("bert"))
    with pytest.raises(RunError, match="client 'cy', step 2: the loss is nan") as caught:
        run(plan, tmp_path / "stopped", on_bad_numbers="stop-run")
    assert f"--resume -o {tmp_path / 'stopped'} --on-bad-numbers skip-step" in caught.value.hint
    run(plan, tmp_path / "stopped", resume=True, on_bad_numbers="skip-step")
    run(plan, tmp_path / "whole", on_bad_numbers="skip-step")
    assert_same_end(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_in_which_every_client_stops_says_so(
    tmp_path: Path, checkpoint: Checkpoint, failing: Fail
) -> None:
    failing({(name, 1) for name in CLIENTS})
    with pytest.raises(RunError, match="no client could go on: client 'ada', step 1"):
        run(small_plan(checkpoint("bert")), tmp_path)
    summary = completed(tmp_path)
    assert summary is not None
    assert all(client.stopped and client.steps == 1 for client in summary.clients.values())


def test_rates_that_are_far_too_high_stop_every_client(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    """No number is made up here: the losses themselves overflow."""
    with pytest.raises(RunError, match=r"client '\w+.*step \d"):
        run(small_plan(checkpoint("bert")), tmp_path, head_rate=1e38, learning_rate=1e30)
