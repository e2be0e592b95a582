"""Bad numbers, labels, tokens and shapes end one client's step, by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from flexp.errors import RunError, StepError
from flexp.profiler.placement import Placement
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.step_checks import is_finite
from torch import Tensor

from .families import LABELS, VOCABULARY, batch_of, whole_model
from .test_micro_batches import PartsTrainer, new_client

Batch = tuple[dict[str, Tensor], Tensor]


def batch(task: str, change: Callable[[dict[str, Tensor], Tensor], object]) -> Batch:
    inputs, labels = batch_of(whole_model("bert", task), task, "right")
    change(inputs, labels)
    return inputs, labels


def set_label(value: int) -> Callable[[dict[str, Tensor], Tensor], object]:
    return lambda _, labels: labels.view(-1)[:1].fill_(value)


def set_token(value: int) -> Callable[[dict[str, Tensor], Tensor], object]:
    return lambda inputs, _: inputs["input_ids"][1, 2].fill_(value)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    ("task", "change", "found"),
    [
        ("classification", set_label(LABELS), f"label {LABELS} is outside"),
        ("classification", set_label(-100), "label -100 is outside"),
        ("token-classification", set_label(LABELS + 7), f"label {LABELS + 7} is outside"),
        ("token-classification", set_label(-1), "label -1 is outside"),
        ("token-classification", lambda _, y: y.fill_(-100), "no token of the batch has a label"),
        ("classification", set_token(VOCABULARY), f"token {VOCABULARY} is outside"),
        ("classification", set_token(-1), "token -1 is outside"),
        (
            "classification",
            lambda x, _: x.update(attention_mask=x["attention_mask"][:1]),
            "different numbers of rows: input_ids 3, attention_mask 1, labels 3",
        ),
        ("token-classification", lambda _, y: y.resize_(3, 2), r"labels of shape \[3, 2\]"),
    ],
)
def test_a_batch_that_does_not_fit_is_not_sent(
    task: str, change: Callable[[dict[str, Tensor], Tensor], object], found: str, parts: int
) -> None:
    model = whole_model("bert", task)
    client = new_client(model, Placement(1), parts, lambda data: pytest.fail("sent"))
    with pytest.raises(StepError, match=f"client 'ada', step 7: .*{found}") as caught:
        client.train_step(7, *batch(task, change))
    assert (caught.value.client, caught.value.step) == ("ada", 7)
    assert isinstance(caught.value, RunError)


def change_reply(kind: Kind, /, **changes: object) -> Callable[[Message], Message]:
    def changed(reply: Message) -> Message:
        return Message(**{**vars(reply), **changes}) if reply.kind is kind else reply

    return changed


def poison(kind: Kind) -> Callable[[Message], Message]:
    def changed(reply: Message) -> Message:
        if reply.kind is kind:
            reply.hidden[0, 0, 0] = math.inf
        return reply

    return changed


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (poison(Kind.ACTIVATION), "the activation that came from the server is not finite"),
        (poison(Kind.GRADIENT), "the gradient that came from the server is not finite"),
        (change_reply(Kind.ACTIVATION, client="bo"), "for client 'bo'"),
        (change_reply(Kind.ACTIVATION, step=6), "step 6"),
        (change_reply(Kind.GRADIENT, part=3, parts=4), "part 3 of 4"),
        (change_reply(Kind.ACTIVATION, kind=Kind.GRADIENT), "answered gradient"),
        (change_reply(Kind.ACTIVATION, hidden=torch.ones(1, 2, 3)), r"answered shape \[1, 2, 3\]"),
    ],
)
def test_an_answer_that_is_none_ends_the_step(
    change: Callable[[Message], Message], found: str, parts: int
) -> None:
    model = whole_model("bert", "classification")
    server = PartsTrainer(copy.deepcopy(model), Placement(1))
    client = new_client(
        model,
        Placement(1),
        parts,
        lambda data: encode(change(decode(server.handle(data))), "fp32"),
    )
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with pytest.raises(StepError, match=f"client 'ada', step 7: .*{found}"):
        client.train_step(7, *batch("classification", lambda *_: None))
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("weight", "value", "found"),
    [
        ("model.embeddings.word_embeddings.weight", math.nan, "the activation that goes"),
        ("head.bias", math.inf, "the loss is"),
        ("head.weight", math.nan, "the loss is nan"),
    ],
)
def test_weights_that_are_not_finite_are_noticed_where_they_show(
    weight: str, value: float, found: str
) -> None:
    model = whole_model("bert", "classification")
    server = PartsTrainer(copy.deepcopy(model), Placement(1))
    with torch.no_grad():
        dict(model.named_parameters())[weight.replace("model.", "backbone.", 1)][:] = value
    client = new_client(model, Placement(1), 1, server.handle)
    with pytest.raises(StepError, match=f"client 'ada', step 0: .*{found}"):
        client.train_step(0, *batch("classification", lambda *_: None))


def test_a_gradient_of_the_clients_own_that_is_not_finite() -> None:
    model = whole_model("bert", "classification")
    server = PartsTrainer(copy.deepcopy(model), Placement(1))
    model.head.weight.register_hook(lambda gradient: gradient * math.nan)
    client = new_client(model, Placement(1), 1, server.handle)
    with pytest.raises(StepError, match="the gradient of the client's own weights is not finite"):
        client.train_step(0, *batch("classification", lambda *_: None))
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_number_is_seen_and_large_ones_are_not_bad(bad: float, dtype: torch.dtype) -> None:
    """Finite numbers may have an infinite sum, and infinite ones of both signs none."""
    large = torch.full((3, 5), torch.finfo(dtype).max, dtype=dtype)
    assert is_finite(large) and is_finite(-large) and not large.sum().isfinite()
    for where in ((0, 0), (2, 4)):
        one = torch.zeros(3, 5, dtype=dtype)
        one[where] = bad
        assert not is_finite(one)
    assert not is_finite(torch.tensor([math.inf, -math.inf]))
