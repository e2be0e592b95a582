"""Whole runs whose clients write in codecs of their own and send batches in parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from flexp.errors import RunError
from flexp.planner.plan import Plan
from flexp.runtime.bounds import token_bounds
from flexp.runtime.message import Message, decode
from flexp.runtime.server import Server
from torch import Tensor

from .jobs import run, small_plan

Checkpoint = Callable[[str], Path]


def weights(folder: Path) -> dict[str, Tensor]:
    return {
        f"{file.parent.name}/{name}": tensor
        for file in sorted(folder.glob("clients/*/*.safetensors"))
        for name, tensor in safetensors.torch.load_file(file).items()
    }


def plan_with(model: Path, **columns: tuple[object, ...]) -> Plan:
    """`small_plan` with a value for each client."""
    plan = small_plan(model)
    clients = tuple(
        client.model_copy(update={name: column[index] for name, column in columns.items()})
        for index, client in enumerate(plan.clients)
    )
    return plan.model_copy(update={"clients": clients})


def tapped(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Message, Message]]:
    """Every request of a run and its answer."""
    seen: list[tuple[Message, Message]] = []
    handle = Server.handle

    def tap(self: Server, data: bytes) -> bytes:
        answer = handle(self, data)
        seen.append((decode(data), decode(answer)))
        return answer

    monkeypatch.setattr(Server, "handle", tap)
    return seen


def test_each_client_has_its_codec_in_both_directions(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tapped(monkeypatch)
    run(plan_with(checkpoint("bert"), codec=("fp32", "bf16", "int8")), tmp_path)
    used = {(request.client, request.codec, answer.codec) for request, answer in seen}
    assert used == {("ada", "fp32", "fp32"), ("bo.2", "bf16", "bf16"), ("cy", "int8", "int8")}


def test_batches_go_in_parts(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the plan says, or as there are rows; evaluation goes in one piece."""
    seen = tapped(monkeypatch)
    run(plan_with(checkpoint("bert"), micro_batches=(1, 2, 4)), tmp_path)
    for name, most in (("ada", 1), ("bo.2", 2), ("cy", 4)):
        forward = [r for r, _ in seen if (r.client, r.kind) == (name, "forward")]
        assert max(request.parts for request in forward) == most
        for step in {request.step for request in forward}:
            sent = [request for request in forward if request.step == step]
            assert sorted(r.part for r in sent) == list(range(sent[0].parts))
            assert sent[0].parts == min(most, sum(len(r.hidden) for r in sent))
    assert {request.parts for request, _ in seen if request.kind == "predict"} == {1}


@pytest.mark.parametrize("head", ["device", "server"])
def test_a_run_in_parts_gives_the_same_bits_every_time_and_resumed(
    tmp_path: Path, checkpoint: Checkpoint, head: str
) -> None:
    plan = plan_with(checkpoint("bert"), micro_batches=(3, 2, 4), head=(head,) * 3)
    for folder in ("first", "second"):
        run(plan, tmp_path / folder)
    run(plan, tmp_path / "parts", stop_after=7)
    run(plan, tmp_path / "parts", resume=True)
    first, *others = (weights(tmp_path / folder) for folder in ("first", "second", "parts"))
    assert first
    for other in others:
        assert other.keys() == first.keys()
        assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("head", ["device", "server"])
def test_a_run_in_parts_learns_what_one_in_whole_batches_does(
    tmp_path: Path, checkpoint: Checkpoint, head: str
) -> None:
    losses = []
    for parts in (1, 3):
        plan = plan_with(checkpoint("bert"), micro_batches=(parts,) * 3, head=(head,) * 3)
        summary = run(plan, tmp_path / str(parts))
        assert summary is not None
        losses.append([client.last_loss for client in summary.clients.values()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_server_refuses_what_the_plan_has_no_room_for(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row more than any client's batch."""
    from flexp.runtime import assemble

    def tight(**sizes: int) -> object:
        return token_bounds(**{**sizes, "batch": sizes["batch"] - 1})

    monkeypatch.setattr(assemble, "token_bounds", tight)
    with pytest.raises(RunError, match="4 rows; at most 3 are expected"):
        run(small_plan(checkpoint("bert")), tmp_path)
