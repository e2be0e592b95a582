"""A run whose clients change their depths at a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from flexp.catalog.files import content_hash
from flexp.catalog.progress import no_progress
from flexp.errors import PlanError
from flexp.planner.plan import Plan, read_plan
from flexp.runtime import checkpoint as checkpoints
from flexp.runtime.assemble import assemble
from flexp.runtime.job_tensors import restore
from flexp.runtime.merge import load_merged
from torch import Tensor

from .jobs import (
    CLIENTS,
    STEPS,
    assert_same_end,
    metrics,
    run,
    settings_for,
    small_plan,
    text_data,
    with_depths,
)

Checkpoint = Callable[[str], Path]
SIDES = ["shared", "personal", "aligned"]
INPUTS = {
    "input_ids": torch.tensor([[3, 4, 25, 46], [7, 48, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
}


def logits(folder: Path) -> dict[str, Tensor]:
    """Of INPUTS, by client, as the newest checkpoint has them."""
    found = checkpoints.newest(folder / "checkpoint")
    assert found is not None
    plan = found.state.plan
    job = assemble(plan, settings_for(plan), text_data(), no_progress)
    restore(job, found.tensors())
    return {name: client.predict(INPUTS) for name, client in job.clients.items()}


def stopped(folder: Path, plan: Plan, **changes: object) -> dict[str, Tensor]:
    """A run stopped after 9 steps, at rates that make every client differ."""
    run(plan, folder, stop_after=9, learning_rate=0.05, **changes)
    return logits(folder)


def go_on(folder: Path, plan: Plan, **more: object) -> tuple[dict[str, Tensor], list[str]]:
    """Under another plan, without a step; what was said of it."""
    notes: list[str] = []
    assert (
        run(plan, folder, resume=True, stop_after=0, learning_rate=0.05, notes=notes, **more)
        is None
    )
    return logits(folder), notes


@pytest.mark.parametrize("upload", [True, False])
@pytest.mark.parametrize("server_side", SIDES)
def test_deeper_is_the_same_function(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str, upload: bool
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    before = stopped(tmp_path, plan)
    after, notes = go_on(tmp_path, with_depths(plan, 3, 2, 3), adapter_upload=upload)
    for name in CLIENTS:
        torch.testing.assert_close(after[name], before[name], rtol=1e-5, atol=1e-5)
    (said,) = [note for note in notes if note.startswith("ada: depth 1 > 3 after")]
    was, now = said.partition("accuracy ")[2].partition("% > ")[::2]
    assert now.startswith(f"{was}%")


@pytest.mark.parametrize("server_side", SIDES)
def test_shallower_with_upload_is_the_same_function(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    before = stopped(tmp_path, plan)
    after, notes = go_on(tmp_path, with_depths(plan, 1, 2, 1), adapter_upload=True)
    for name in CLIENTS:
        torch.testing.assert_close(after[name], before[name], rtol=1e-5, atol=1e-5)
    assert any("cy: depth 3 > 1" in note and "adapters uploaded" in note for note in notes)


@pytest.mark.parametrize("server_side", SIDES)
def test_shallower_without_upload_starts_from_the_trunk_and_says_what_it_costs(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    before = stopped(tmp_path, plan)
    after, notes = go_on(tmp_path, with_depths(plan, 1, 2, 1))
    assert not torch.allclose(after["cy"], before["cy"], atol=1e-4)
    for name in ("ada", "bo.2"):
        assert torch.equal(after[name], before[name])
    assert any("cy: depth 3 > 1" in n and "starts from the trunk: accuracy" in n for n in notes)


def test_top_blocks_move_as_well(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = with_depths(
        small_plan(checkpoint("bert"), server_side="aligned"), 1, 2, 1, tops=(0, 1, 2)
    )
    before = stopped(tmp_path, plan)
    other = with_depths(plan, 2, 1, 1, tops=(1, 0, 0))
    after, notes = go_on(tmp_path, other, adapter_upload=True)
    for name in CLIENTS:
        torch.testing.assert_close(after[name], before[name], rtol=1e-5, atol=1e-5)
    assert any("bo.2: depth 2 > 1, top 1 > 0" in note for note in notes)


@pytest.mark.parametrize("server_side", SIDES)
def test_a_moved_run_trains_on_and_can_be_stopped(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str
) -> None:
    """There and back again, with every client stopped on the way: the same end as without."""
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    there, back = with_depths(plan, 3, 1, 2), with_depths(plan, 2, 3, 1)
    ends = []
    for name in ("once", "often"):
        folder = tmp_path / name
        run(plan, folder, stop_after=4)
        if name == "often":
            run(there, folder, resume=True, stop_after=2, adapter_upload=True)
            run(there, folder, resume=True, stop_after=2)
        else:
            run(there, folder, resume=True, stop_after=4, adapter_upload=True)
        if name == "often":
            run(back, folder, resume=True, stop_after=3, adapter_upload=True)
        summary = run(back, folder, resume=True, adapter_upload=True)
        assert summary is not None
        ends.append(summary)
    assert_same_end(tmp_path / "once", tmp_path / "often")
    moves = [(move.client, move.depth_before, move.depth) for move in ends[0].moves]
    assert moves[:3] == [("ada", 1, 3), ("bo.2", 2, 1), ("cy", 3, 2)]
    assert moves[3:] == [("ada", 3, 2), ("bo.2", 1, 3), ("cy", 2, 1)]
    assert [client.steps for client in ends[0].clients.values()] == [STEPS] * 3
    assert content_hash(read_plan(tmp_path / "once" / "plan.yaml")) == content_hash(back)
    merged = load_merged(tmp_path / "once", "ada", None, no_progress)
    assert torch.isfinite(merged.model(INPUTS)).all()


def test_the_fleet_clock_goes_on_at_the_new_pace(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=6)
    run(with_depths(plan, 3, 2, 3), tmp_path, resume=True)
    seconds = [line["fleet_seconds"] for line in metrics(tmp_path)]
    assert seconds == sorted(seconds)
    ada = [line["fleet_seconds"] for line in metrics(tmp_path) if line["client"] == "ada"]
    assert ada[-1] - ada[-2] == pytest.approx(0.32)


def test_the_adapter_that_peft_loads_has_the_ranks_of_its_way(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    import transformers
    from peft import PeftModel

    plan = small_plan(checkpoint("bert"), server_side="aligned")
    run(plan, tmp_path, stop_after=6)
    run(with_depths(plan, 3, 2, 1), tmp_path, resume=True, adapter_upload=True)
    for name in ("ada", "cy"):
        base = transformers.AutoModel.from_pretrained(checkpoint("bert"), add_pooling_layer=False)
        model = PeftModel.from_pretrained(base, tmp_path / "clients" / name).eval()
        merged = load_merged(tmp_path, name, None, no_progress)
        with torch.no_grad():
            there = model(**INPUTS).last_hidden_state
            here = merged.model.backbone(**INPUTS).last_hidden_state
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-5)


def altered(plan: Plan, what: str) -> Plan:
    if what == "server side":
        return plan.model_copy(update={"server_side": "aligned"})
    if what == "clients":
        return plan.model_copy(update={"clients": plan.clients[:2]})
    if what == "profile's settings":
        settings = plan.settings.model_copy(update={"lora_rank": 2})
        return plan.model_copy(update={"settings": settings})
    if what == "place of the heads":
        first = plan.clients[0].model_copy(update={"head": "server"})
        return plan.model_copy(update={"clients": (first, *plan.clients[1:])})
    return plan.model_copy(update={"config_hash": "1" * 64})


@pytest.mark.parametrize(
    "what", ["model", "server side", "clients", "profile's settings", "place of the heads"]
)
def test_what_a_run_can_not_change(tmp_path: Path, checkpoint: Checkpoint, what: str) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=2)
    with pytest.raises(PlanError, match=f"--plan: the new plan changes the {what}"):
        run(altered(plan, what), tmp_path, resume=True)
    assert run(plan, tmp_path, resume=True) is not None
