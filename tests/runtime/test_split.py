"""Split training is unsplit training: same loss, same gradients, at every depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import pytest
import torch
from flexp.catalog.models.blocks import block_stack
from flexp.runtime.client import checkpoint_blocks
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.middle import Middle
from flexp.runtime.split import attach
from torch import Tensor, nn

from .conftest import BLOCKS, random_batch, small_model


class PlainRemote:
    """Runs the middle on a model of its own; every tensor passes through the message format."""

    frozen = False

    def __init__(self, backbone: nn.Module, depth: int, codec: str = "fp32", top: int = 0) -> None:
        self.middle, self.codec = Middle(backbone), codec
        self.span = range(depth, len(self.middle.blocks) - top)

    def _through(self, hidden: Tensor, inputs: Mapping[str, Tensor]) -> Message:
        masks = {"attention_mask": inputs["attention_mask"]} if inputs else {}
        shapes = {"input_ids": list(inputs["input_ids"].shape)} if inputs else {}
        message = Message(
            kind=Kind.FORWARD, client="a", step=0, hidden=hidden, masks=masks, shapes=shapes
        )
        return decode(encode(message, self.codec))

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        message = self._through(h_BTH, inputs)
        self.entry = message.hidden.requires_grad_()
        with torch.enable_grad():
            calls = self.middle.recipe(message.masks, message.shapes)
            self.output = self.middle.run(self.entry, self.span, calls)
        return self._through(self.output, {}).hidden

    def backward(self, gradient_BTH: Tensor) -> Tensor:
        torch.autograd.backward(self.output, self._through(gradient_BTH, {}).hidden)
        assert self.entry.grad is not None
        return self._through(self.entry.grad, {}).hidden

    def labels(
        self, h_BTH: Tensor, inputs: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[float, Tensor]:
        raise AssertionError("the head is the client's")

    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.forward(h_BTH, inputs).detach()


def trainable(*models: nn.Module) -> Iterator[nn.Parameter]:
    seen: set[int] = set()
    for model in models:
        for parameter in model.parameters():
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter


@pytest.mark.parametrize(
    ("depth", "top", "checkpointing"),
    [
        *((depth, 0, False) for depth in range(1, BLOCKS)),
        (1, 2, False),
        (2, 1, False),
        (2, 1, True),
    ],
)
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_three_steps_split_equal_three_steps_unsplit(
    family: str, method: str, depth: int, top: int, checkpointing: bool
) -> None:
    whole = small_model(family, method)
    client, server = copy.deepcopy(whole), copy.deepcopy(whole)
    attach(client.backbone, PlainRemote(server.backbone, depth, top=top), depth, top)
    if checkpointing:
        checkpoint_blocks(block_stack(client.backbone)[1])
    optimizers = [
        torch.optim.AdamW(trainable(whole), lr=1e-2),
        torch.optim.AdamW(trainable(client, server.backbone), lr=1e-2),
    ]
    for step in range(3):
        inputs, labels = random_batch(step, padding=("right", "left", "none")[step])
        losses = []
        for model in (whole, client):
            loss = model.loss(inputs, labels)
            loss.backward()
            losses.append(loss.detach())
        assert torch.equal(*losses)
        held = dict(client.named_parameters()), dict(server.named_parameters())
        compared = 0
        for name, parameter in whole.named_parameters():
            if parameter.grad is not None:
                parts = [p[name].grad for p in held if name in p and p[name].grad is not None]
                assert torch.equal(sum(parts), parameter.grad), name
                compared += 1
        assert compared > BLOCKS
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_client_holds_its_own_blocks_only(family: str) -> None:
    client = small_model(family, "full")
    attach(client.backbone, PlainRemote(small_model(family, "full").backbone, 2), 2)
    held = {name for name, _ in client.named_parameters() if ".layer" in name}
    assert {name.split(".layer")[1].lstrip("s").split(".")[1] for name in held} == {"0", "1"}


def test_the_server_holds_no_vocabulary() -> None:
    middle = Middle(small_model("bert", "full").backbone)
    assert not any("word_embeddings" in name for name, _ in middle.backbone.named_parameters())


@pytest.mark.parametrize(("codec", "error"), [("bf16", 2e-2), ("int8", 3e-2)])
def test_lossy_codecs_change_gradients_a_little(codec: str, error: float) -> None:
    whole = small_model("bert", "full")
    client, server = copy.deepcopy(whole), copy.deepcopy(whole)
    attach(client.backbone, PlainRemote(server.backbone, 2, codec), 2)
    inputs, labels = random_batch(0)
    for model in (whole, client):
        model.loss(inputs, labels).backward()
    exact = whole.head.weight.grad
    got = client.head.weight.grad
    assert exact is not None and got is not None
    relative = float((got - exact).norm() / exact.norm())
    assert 0 < relative < error
