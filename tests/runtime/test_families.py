"""Split training is unsplit training, in every family: the same loss and every gradient."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
import torch
import transformers
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.entry import find_model, model_names
from flexp.catalog.models.heads import TaskModel
from flexp.errors import UnsupportedModelError
from flexp.profiler.placement import Placement
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.client import checkpoint_blocks
from flexp.runtime.device_model import random_device_model
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.middle import Middle
from flexp.runtime.split import Bottom, attach
from flexp.runtime.wire import Wire

from .families import BLOCKS, FAMILIES, VISION, batch_of, gradients, tasks_of, whole_model


class Case(NamedTuple):
    depth: int
    top: int
    head: str
    padding: str
    attention: str
    checkpointing: bool
    task: int
    """Index into the family's tasks."""


COVERING = (
    # every pair of values of two columns is in some row
    Case(1, 0, "device", "right", "eager", False, 0),
    Case(1, 0, "server", "left", "eager", True, 1),
    Case(1, 1, "device", "none", "sdpa", False, 2),
    Case(2, 0, "server", "none", "sdpa", True, 1),
    Case(2, 1, "device", "left", "eager", False, 0),
    Case(2, 1, "device", "right", "eager", False, 2),
    Case(3, 0, "server", "right", "sdpa", True, 0),
    Case(3, 1, "device", "left", "sdpa", True, 2),
    Case(3, 1, "device", "none", "eager", False, 1),
    Case(4, 0, "device", "right", "sdpa", True, 1),
    Case(4, 0, "server", "left", "eager", False, 2),
    Case(4, 0, "server", "none", "sdpa", True, 0),
)
EVERY = tuple(
    Case(*values)
    for values in product(
        (1, 2, 3, 4),
        (0, 1),
        ("device", "server"),
        ("none", "right", "left"),
        ("sdpa", "eager"),
        (False, True),
        (0, 1, 2),
    )
    if values[0] + values[1] < BLOCKS and not (values[1] and values[2] == "server")
)


class Trainer:
    """A server that only computes: blocks and head keep their gradients."""

    def __init__(self, model: TaskModel, case: Case) -> None:
        self.model, self.middle = model, Middle(model.backbone)
        self.span = range(case.depth, BLOCKS - case.top)

    def handle(self, data: bytes) -> bytes:
        message = decode(data)
        loss = None
        if message.kind is Kind.BACKWARD:
            gradient = message.hidden
        else:
            calls = self.middle.recipe(message.masks, message.shapes)
            with torch.enable_grad():
                self.entry = message.hidden.requires_grad_()
                self.output = self.middle.run(self.entry, self.span, calls)
            if message.kind is Kind.FORWARD:
                return self._reply(message, self.output)
            leaf = self.output.detach().requires_grad_()
            with torch.enable_grad():
                value = self.middle.on_top_of(
                    leaf,
                    message.masks,
                    message.shapes,
                    lambda inputs: self.model.loss(inputs, message.labels),
                )
            value.backward()
            gradient, loss = leaf.grad, value.item()
        torch.autograd.backward(self.output, gradient)
        return self._reply(message, self.entry.grad, loss)

    def _reply(self, request: Message, hidden: torch.Tensor, loss: float | None = None) -> bytes:
        kind = Kind.ACTIVATION if request.kind is Kind.FORWARD else Kind.GRADIENT
        reply = Message(kind=kind, client="a", step=0, hidden=hidden, loss=loss)
        return encode(reply, "fp32")


def cases(family: str, rows: tuple[Case, ...]) -> Iterator[Case]:
    """The rows that tell anything new about this family."""
    seen = set()
    for row in rows:
        tasks = tasks_of(family)
        case = row._replace(task=row.task % len(tasks))
        if family in VISION:
            case = case._replace(padding="none")
        if case not in seen:
            seen.add(case)
            yield case


def compare(family: str, case: Case) -> None:
    task = tasks_of(family)[case.task]
    whole = whole_model(family, task, case.attention)
    kept, served = copy.deepcopy(whole), copy.deepcopy(whole)
    inputs, labels = batch_of(whole, task, case.padding)
    wire = Wire("a", Trainer(served, case).handle, "fp32")
    client: TaskModel | Bottom = kept
    if case.head == "server":
        client = Bottom(kept, wire, case.depth)
    else:
        attach(kept.root, wire, case.depth, case.top)
    if case.checkpointing:
        checkpoint_blocks(block_stack(client.backbone)[1])
    losses = []
    for model in (whole, client):
        loss = model.loss(inputs, labels)
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == losses[1], case
    got = [gradients(kept, whole), gradients(served, whole)]
    for name, parameter in whole.named_parameters():
        if parameter.grad is not None:
            parts = [part[name] for part in got if name in part]
            assert parts, name
            assert torch.equal(sum(parts), parameter.grad), (case, name)
    assert sum(bool(p.grad.any()) for p in whole.parameters() if p.grad is not None) > BLOCKS


@pytest.mark.parametrize("family", FAMILIES)
def test_split_equals_unsplit(family: str) -> None:
    for case in cases(family, COVERING):
        compare(family, case)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_split_equals_unsplit_in_every_combination(family: str) -> None:
    for case in cases(family, EVERY):
        compare(family, case)


def test_every_model_of_the_catalogue_is_of_one_of_these_families() -> None:
    entries = [find_model(name) for name in model_names()]
    types = {entry.architecture["model_type"] for entry in entries if entry is not None}
    assert types <= {config.model_type for config in FAMILIES.values()}


@pytest.mark.parametrize("name", ["T5Config", "BartConfig", "WhisperConfig", "MarianConfig"])
def test_encoder_decoders_are_not_trained(name: str) -> None:
    config = getattr(transformers, name)()
    with pytest.raises(UnsupportedModelError, match="is an encoder-decoder") as caught:
        random_device_model(config, ProfileSettings(), Placement(1))
    assert "encoder (bert, vit)" in caught.value.hint


def test_a_table_that_trains_in_every_block_is_not_split() -> None:
    model = whole_model("deberta-v2", "classification").requires_grad_(True)
    attach(model.root, Wire("a", lambda data: data, "fp32"), 2)
    with pytest.raises(UnsupportedModelError, match="weights that train to every block"):
        model.loss(*batch_of(model, "classification", "right"))


def test_every_pair_of_values_is_covered() -> None:
    for a, b in product(range(len(Case._fields)), repeat=2):
        values = {(case[a], case[b]) for case in EVERY}
        assert a == b or values <= {(case[a], case[b]) for case in COVERING}, (a, b)
