"""Micro-batches: the gradients of the whole batch, whatever the parts; an error ends the step."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import pytest
import torch
from flexp.catalog.models.heads import CausalLM, Classifier, TaskModel
from flexp.errors import StepError
from flexp.profiler.placement import Placement
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.micro_batches import Turns, divide
from flexp.runtime.middle import Middle
from flexp.runtime.wire import Wire
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from .families import BLOCKS, FAMILIES, SAMPLES, batch_of, gradients, tasks_of, whole_model

FAST = ("bert", "llama", "gpt2", "vit")


class PartsTrainer:
    """A server that only computes: its blocks and its head collect the gradients of all parts."""

    def __init__(self, model: TaskModel, placement: Placement) -> None:
        self.model, self.middle = model, Middle(model.backbone)
        self.span = range(placement.depth, BLOCKS - placement.top)
        self.flights: dict[int, tuple[Tensor, Tensor]] = {}
        self.lock = threading.Lock()
        self.seen: list[tuple[Kind, int, int]] = []

    def handle(self, data: bytes) -> bytes:
        with self.lock:
            message = decode(data)
            self.seen.append((message.kind, message.part, message.parts))
            return self._answer(message)

    def _answer(self, message: Message) -> bytes:
        loss = None
        if message.kind is Kind.BACKWARD:
            gradient = message.hidden
        else:
            calls = self.middle.recipe(message.masks, message.shapes)
            with torch.enable_grad():
                entry = message.hidden.requires_grad_()
                output = self.middle.run(entry, self.span, calls)
            self.flights[message.part] = entry, output
            if message.kind is Kind.FORWARD:
                return self._reply(message, Kind.ACTIVATION, output)
            leaf = output.detach().requires_grad_()
            with torch.enable_grad():
                value = message.share * self.middle.on_top_of(
                    leaf,
                    message.masks,
                    message.shapes,
                    lambda inputs: self.model.loss(inputs, message.labels),
                )
            value.backward()
            gradient, loss = leaf.grad, value.item()
        entry, output = self.flights.pop(message.part)
        torch.autograd.backward(output, gradient)
        return self._reply(message, Kind.GRADIENT, entry.grad, loss)

    def _reply(
        self, request: Message, kind: Kind, hidden: Tensor, loss: float | None = None
    ) -> bytes:
        named = {"client": request.client, "step": request.step}
        parts = {"part": request.part, "parts": request.parts}
        return encode(Message(kind=kind, **named, **parts, hidden=hidden, loss=loss), "fp32")


def new_client(
    model: TaskModel,
    placement: Placement,
    parts: int,
    deliver: Callable[[bytes], bytes],
    method: str = "full",
) -> Client:
    settings = ClientSettings(
        steps=10,
        learning_rate=0.0,
        head_rate=0.0,
        rank=4,
        seed=0,
        optimizer="sgd",
        micro_batches=parts,
    )
    return Client("ada", model, placement, Wire("ada", deliver, "fp32"), settings)


def step(
    model: TaskModel, placement: Placement, parts: int, inputs: dict[str, Tensor], labels: Tensor
) -> tuple[float, dict[str, Tensor], PartsTrainer]:
    """Loss and every gradient of one step of a copy, on client and server together."""
    kept, served = copy.deepcopy(model), copy.deepcopy(model)
    server = PartsTrainer(served, placement)
    client = new_client(kept, placement, parts, server.handle)
    found: dict[str, Tensor] = {}

    def collect(*_: object) -> None:
        for held in (gradients(kept, model), gradients(served, model)):
            for name, gradient in held.items():
                found[name] = found.get(name, 0) + gradient.clone()

    client.optimizer.register_step_pre_hook(collect)
    return client.train_step(0, inputs, labels), found, server


def compare(family: str, task: str, placement: Placement, parts: int) -> None:
    whole = whole_model(family, task)
    padding = "none" if "pixel_values" in batch_of(whole, task, "none")[0] else "right"
    inputs, labels = batch_of(whole, task, padding)
    expected_loss = whole.loss(inputs, labels)
    expected_loss.backward()
    expected = {n: p.grad for n, p in whole.named_parameters() if p.grad is not None}
    whole.zero_grad(set_to_none=True)
    loss, got, server = step(whole, placement, parts, inputs, labels)
    assert abs(loss - expected_loss.item()) <= 1e-6 * abs(expected_loss.item())
    largest = max(float(g.abs().max()) for g in expected.values())
    for name, gradient in expected.items():
        difference = float((got[name] - gradient).abs().max())
        assert difference <= 1e-6 * max(float(gradient.abs().max()), largest), name
        assert parts > 1 or difference == 0, name
    sent = [Kind.LABELS] if placement.head == "server" else [Kind.FORWARD, Kind.BACKWARD]
    assert sorted(server.seen) == sorted((k, p, parts) for k in sent for p in range(parts))


PLACEMENTS = (Placement(1), Placement(2, top=1, checkpointing=True), Placement(2, head="server"))


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("placement", PLACEMENTS, ids=str)
@pytest.mark.parametrize("family", FAST)
def test_gradients_of_parts_add_up_to_the_batchs(
    family: str, placement: Placement, parts: int
) -> None:
    for task in tasks_of(family):
        compare(family, task, placement, parts)


@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in FAST])
def test_in_every_family(family: str) -> None:
    for task in tasks_of(family):
        for placement in PLACEMENTS:
            compare(family, task, placement, 2)


def test_a_step_gives_the_same_bits_every_time() -> None:
    model = whole_model("llama", "causal-lm")
    inputs, labels = batch_of(model, "causal-lm", "right")
    own = ("model.model.embed_tokens", "model.model.layers.0", "model.model.norm")
    first, *others = (step(model, Placement(1), 3, inputs, labels)[:2] for _ in range(4))
    for loss, got in others:
        assert loss == first[0]
        compared = [name for name in first[1] if name.startswith(own)]
        assert len(compared) > len(own)
        assert all(torch.equal(got[name], first[1][name]) for name in compared)


@given(
    rows=st.integers(1, 12),
    parts=st.integers(1, 12),
    tokens=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_parts_cover_what_counts_once(rows: int, parts: int, tokens: int, seed: int) -> None:
    labels = torch.randint(-2, 3, (rows, tokens), generator=torch.Generator().manual_seed(seed))
    labels = torch.where(labels < 0, -100, labels)
    ids = torch.arange(rows)
    for counted in (Classifier.counted, CausalLM.counted):
        if not counted(labels):
            continue
        pieces = divide({"input_ids": ids}, labels, parts, counted)
        assert [piece[0].index for piece in pieces] == list(range(len(pieces)))
        assert {piece[0].count for piece in pieces} == {len(pieces)}
        assert sum(piece[0].share for piece in pieces) == pytest.approx(1)
        kept = torch.cat([piece[1]["input_ids"] for piece in pieces]).tolist()
        assert kept == sorted(set(kept))
        assert all(counted(labels[r : r + 1]) == 0 for r in set(ids.tolist()) - set(kept))
        for part, inputs, piece in pieces:
            assert part.share == counted(piece) / counted(labels)
            assert torch.equal(labels[inputs["input_ids"]], piece)


def test_while_a_part_is_on_the_wire_the_next_one_computes() -> None:
    """No part is answered before the last one has been sent."""
    model = whole_model("bert", "classification")
    server = PartsTrainer(copy.deepcopy(model), Placement(1))
    all_sent = threading.Barrier(SAMPLES, timeout=30)

    def deliver(data: bytes) -> bytes:
        all_sent.wait()
        return server.handle(data)

    client = new_client(model, Placement(1), SAMPLES, deliver)
    client.train_step(0, *batch_of(model, "classification", "right"))
    assert len(server.seen) == 2 * SAMPLES


def test_a_part_that_fails_ends_the_step_and_leaves_no_gradient() -> None:
    model = whole_model("bert", "classification")
    server = PartsTrainer(copy.deepcopy(model), Placement(1))

    def deliver(data: bytes) -> bytes:
        message = decode(data)
        if message.step == 0 and (message.kind, message.part) == (Kind.BACKWARD, 1):
            raise StepError("ada", 0, "the server broke")
        return server.handle(data)

    client = new_client(model, Placement(1), 3, deliver)
    batch = batch_of(model, "classification", "right")
    with pytest.raises(StepError, match="the server broke"):
        client.train_step(0, *batch)
    assert all(parameter.grad is None for parameter in client.model.parameters())
    assert client.train_step(1, *batch) > 0


def test_turns_go_round_in_order() -> None:
    turns = Turns(3)
    order: list[tuple[int, int]] = []

    def work(part: int) -> None:
        for turn in range(4):
            turns.take(part, turn)
            order.append((turn, part))
            turns.give()

    threads = [threading.Thread(target=work, args=(part,)) for part in (2, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == sorted(order) and len(order) == 12
