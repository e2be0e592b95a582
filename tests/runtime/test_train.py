"""A whole run: what it learns, what it writes, what crosses the wire, how it resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from flexp.catalog.files import content_hash, read_contract
from flexp.errors import PlanError
from flexp.planner.plan import read_plan
from flexp.runtime.message import decode
from flexp.runtime.records import Summary
from flexp.runtime.server import Server

from .jobs import CLIENTS, STEPS, run, small_plan, text_data

Checkpoint = Callable[[str], Path]


def test_a_run_learns_and_writes_its_folder(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"))
    summary = run(plan, tmp_path)
    assert summary is not None
    for client in summary.clients.values():
        assert client.last_loss < client.first_loss
    assert content_hash(read_plan(tmp_path / "plan.yaml")) == content_hash(plan)
    assert read_contract(Summary, tmp_path / "summary.json") == summary
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == STEPS * len(CLIENTS)
    assert [line["fleet_seconds"] for line in lines] == sorted(
        line["fleet_seconds"] for line in lines
    )
    for name, client in summary.clients.items():
        steps = [line for line in lines if line["client"] == name]
        assert [line["client_step"] for line in steps] == list(range(STEPS))
        assert client.up_bytes == sum(line["up_bytes"] for line in steps)
        assert client.step_seconds == sum(line["step_seconds"] for line in steps)
        assert all(line["step_seconds"] > line["waiting_seconds"] > 0 for line in steps)
    assert not (tmp_path / "checkpoint").exists()


def test_nobody_waits_for_the_slow_client(tmp_path: Path, checkpoint: Checkpoint) -> None:
    run(small_plan(checkpoint("bert")), tmp_path)
    order = [json.loads(line)["client"] for line in (tmp_path / "metrics.jsonl").open()]
    assert order.index("cy") > order.index("ada")
    last = {name: len(order) - 1 - order[::-1].index(name) for name in CLIENTS}
    assert last["ada"] < last["bo.2"] < last["cy"]


@pytest.mark.parametrize("server_side", ["shared", "aligned"])
def test_only_activations_gradients_masks_and_shapes_cross_the_wire(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, server_side: str
) -> None:
    """Reads every byte of a run: the tensors of each message, their shapes and the header."""
    messages: list[tuple[str, bytes]] = []
    handle = Server.handle

    def tapped(self: Server, data: bytes) -> bytes:
        reply = handle(self, data)
        messages.extend((("up", data), ("down", reply)))
        return reply

    monkeypatch.setattr(Server, "handle", tapped)
    summary = run(small_plan(checkpoint("bert"), server_side=server_side), tmp_path)
    assert summary is not None
    kinds = set()
    for direction, data in messages:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.pop("__metadata__")
        kinds.add((direction, metadata["kind"]))
        assert set(metadata) == {"kind", "client", "step", "part", "codec", "shapes"}
        assert metadata["client"] in CLIENTS
        assert 0 <= int(metadata["step"]) < STEPS
        batch, length, hidden = header["hidden"]["shape"]
        assert (batch <= 4, length <= 16, hidden) == (True, True, 32)
        asking = metadata["kind"] in ("forward", "predict")
        assert set(header) == ({"hidden", "mask.attention_mask"} if asking else {"hidden"})
        expected = {"input_ids": [batch, length]} if asking else {}
        assert json.loads(metadata["shapes"]) == expected
        if asking:
            mask = safetensors.torch.load(data)["mask.attention_mask"]
            assert mask.dtype == torch.uint8 and set(mask.unique().tolist()) <= {0, 1}
    assert kinds == {
        ("up", "forward"),
        ("up", "backward"),
        ("up", "predict"),
        ("down", "activation"),
        ("down", "gradient"),
    }
    texts = {row.text for row in text_data().rows} | {row.label for row in text_data().rows}
    blob = b"".join(data for _, data in messages)
    assert not any(text.encode() in blob for text in texts)
    up = sum(client.up_bytes for client in summary.clients.values())
    trained = {"forward", "backward", "gradient"}
    assert up == sum(
        len(data) for way, data in messages if way == "up" and decode(data).kind in trained
    )


def test_another_model_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"))
    with pytest.raises(PlanError, match="another configuration"):
        run(plan, tmp_path, model=str(checkpoint("llama")))
    assert not any(tmp_path.iterdir())
