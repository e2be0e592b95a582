"""A head on the server: labels go up; the loss and one gradient come down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.heads import own_copy
from flexp.catalog.models.lora import LoraLinear, lora_linears, new_adapter
from flexp.catalog.models.lora import activate as activate_pairs
from flexp.errors import RunError
from flexp.profiler.placement import Placement
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.optim import adamw, apply, learning_rate_factor
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.server_head import HeadSettings, ServerHead
from flexp.runtime.wire import Wire

from .conftest import random_batch, small_model
from .jobs import run, small_plan

STEPS, RATE, HEAD_RATE = 10, 1e-2, 3e-3


def bare(family: str) -> torch.nn.Module:
    """A random model with layers wrapped for adapters and none active."""
    model = small_model(family, "lora")
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.active = torch.nn.ModuleList()
    return model


def assembled(template: torch.nn.Module, depth: int) -> tuple[Client, Server, list[Message]]:
    """A client of `template` with its head on the server, and all messages that it sends."""
    settings = ServerSettings(
        server_side="personal",
        codec="fp32",
        steps=STEPS,
        learning_rate=RATE,
        rank=4,
        seed=0,
        lambdas=(0.0,) * 4,
    )
    remote = own_copy(template)
    server = Server(remote.backbone, settings)
    head_settings = HeadSettings(learning_rate=HEAD_RATE, steps=STEPS)
    head = ServerHead("ada", own_copy(remote, server.middle.blocks), server.middle, head_settings)
    server.admit("ada", depth, head=head)
    sent: list[Message] = []

    def deliver(data: bytes) -> bytes:
        sent.append(decode(data))
        return server.handle(data)

    client = Client(
        "ada",
        own_copy(template),
        Placement(depth, head="server"),
        Wire("ada", deliver, "fp32"),
        ClientSettings(steps=STEPS, learning_rate=RATE, head_rate=HEAD_RATE, rank=4, seed=0),
    )
    return client, server, sent


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_three_steps_equal_three_steps_unsplit(family: str, depth: int) -> None:
    template = bare(family)
    client, server, sent = assembled(template, depth)
    whole = own_copy(template)
    _, blocks = block_stack(whole.backbone)
    linears = lora_linears(blocks, range(len(blocks)))
    adapter = new_adapter(linears, 4).seed(0)
    activate_pairs(linears, adapter)
    optimizers = [adamw(adapter.parameters(), RATE), adamw(whole.head.parameters(), HEAD_RATE)]
    for step in range(3):
        inputs, labels = random_batch(step)
        loss = whole.loss(inputs, labels)
        loss.backward()
        for optimizer, rate in zip(optimizers, (RATE, HEAD_RATE), strict=True):
            apply(optimizer, [rate], learning_rate_factor(step, STEPS))
        assert client.train_step(step, inputs, labels) == loss.item()
    with torch.no_grad():
        assert torch.equal(client.predict(inputs), whole(inputs))
    held = {**server.seats["ada"].personal.tensors(), **client.adapter.tensors()}
    assert held.keys() == adapter.tensors().keys()
    assert all(torch.equal(held[name], tensor) for name, tensor in adapter.tensors().items())
    assert [message.kind for message in sent] == [Kind.LABELS] * 3 + [Kind.PREDICT]
    assert all((m.labels is not None) == (m.kind is Kind.LABELS) for m in sent)


def test_the_client_holds_no_head_and_no_block_of_the_server() -> None:
    client, _, _ = assembled(bare("llama"), 2)
    names = {name for name, _ in client.model.named_parameters()}
    assert not any(name.startswith("head") or ".layers.2." in name for name in names)


def test_a_step_sent_twice_is_applied_once() -> None:
    client, server, sent = assembled(bare("bert"), 1)
    client.train_step(0, *random_batch(0))
    head = server.seats["ada"].head
    assert head is not None
    before = head.model.head.weight.clone()
    again = decode(server.handle(encode(sent[0], "fp32")))
    assert again.kind is Kind.GRADIENT and again.loss is not None
    assert torch.equal(before, head.model.head.weight)


def test_labels_for_a_head_that_is_elsewhere_are_refused() -> None:
    _, server, _ = assembled(bare("bert"), 1)
    server.admit("bo", 1)
    message = Message(
        kind=Kind.LABELS,
        client="bo",
        step=0,
        hidden=torch.zeros(2, 5, 32),
        labels=torch.zeros(2, dtype=torch.long),
    )
    with pytest.raises(RunError, match=r"'bo', step 0.* a head on the server"):
        server.handle(encode(message, "fp32"))


def test_a_loss_that_is_not_finite_names_client_and_step() -> None:
    client, server, _ = assembled(bare("bert"), 1)
    head = server.seats["ada"].head
    assert head is not None
    with torch.no_grad():
        head.model.head.weight.fill_(float("inf"))
    with pytest.raises(RunError, match=r"client 'ada', step 0: the loss is"):
        client.train_step(0, *random_batch(0))


def test_a_plan_with_heads_on_the_server_runs_and_resumes(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    plan = small_plan(checkpoint("bert"))
    ada, bo, cy = plan.clients
    plan = plan.model_copy(
        update={"clients": (ada, *(c.model_copy(update={"head": "server"}) for c in (bo, cy)))}
    )
    whole = run(plan, tmp_path / "whole")
    assert run(plan, tmp_path / "parts", stop_after=7) is None
    assert run(plan, tmp_path / "parts", resume=True) is not None
    assert whole is not None
    for client in whole.clients.values():
        assert client.last_loss < client.first_loss
    for file in sorted((tmp_path / "whole").glob("clients/*/*.safetensors")):
        expected = safetensors.torch.load_file(file)
        got = safetensors.torch.load_file(tmp_path / "parts" / file.relative_to(tmp_path / "whole"))
        assert expected.keys() == got.keys() and expected
        assert all(torch.equal(expected[name], got[name]) for name in expected)
