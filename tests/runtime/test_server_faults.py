"""A message that can't be served is refused by name, and touches nobody else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flexp.errors import FlexpError, StepError
from flexp.runtime.message import Kind
from flexp.runtime.server import Server

from .conftest import HIDDEN
from .servers import ROWS, STEPS, TOKENS, data, new_server, same_weights, train

CLIENTS = (("ada", 1), ("bo", 2), ("cy", 2))


def filled(value: float) -> torch.Tensor:
    hidden = torch.zeros(ROWS, TOKENS, HIDDEN)
    hidden[0, 0, 0] = value
    return hidden


def begun(server: Server) -> Server:
    """Everyone has a step under way."""
    for name, _ in CLIENTS[:2]:
        server.handle(data(Kind.FORWARD, name, 0))
    return server


BAD: list[tuple[Kind, str, int, dict[str, Any], str]] = [
    (Kind.FORWARD, "bo", 1, {"hidden": filled(float("nan"))}, "the activation is not finite"),
    (Kind.FORWARD, "bo", 1, {"hidden": torch.zeros(ROWS, TOKENS, 8)}, r"the activation is \[2, 5"),
    (Kind.BACKWARD, "bo", 0, {"hidden": filled(float("inf"))}, "the gradient is not finite"),
    (Kind.BACKWARD, "bo", 0, {"hidden": torch.zeros(1, TOKENS, HIDDEN)}, r"the gradient is \[1, 5"),
    (Kind.FORWARD, "bo", STEPS, {}, f"the run has steps 0 to {STEPS - 1}"),
    (Kind.FORWARD, "eve", 1, {}, "the server does not know this client"),
    (Kind.LABELS, "bo", 1, {}, "a head on the server"),
    (Kind.LABELS, "cy", 0, {"labels": torch.tensor([0, 7])}, "step 0"),
]


@pytest.mark.parametrize(("kind", "client", "step", "changes", "found"), BAD)
def test_a_bad_message_in_a_batch(
    kind: Kind, client: str, step: int, changes: dict[str, Any], found: str
) -> None:
    server, alone = (begun(new_server("aligned", *CLIENTS, heads=("cy",))) for _ in range(2))
    good = data(Kind.BACKWARD, "ada", 0)
    bad = data(kind, client, step, **changes)
    refused, answered = server.handle_all([bad, good])
    assert isinstance(refused, StepError) and (refused.client, refused.step) == (client, step)
    with pytest.raises(StepError, match=found):
        raise refused
    assert answered == alone.handle(good)
    for one in (server, alone):  # the culprit goes on from where it was
        one.handle(data(Kind.BACKWARD, "bo", 0))
        one.handle(data(Kind.LABELS, "cy", 0))
    assert same_weights(server, alone)


def test_bytes_that_are_no_message_concern_nobody_else() -> None:
    server, alone = (begun(new_server("shared", *CLIENTS)) for _ in range(2))
    good = data(Kind.BACKWARD, "ada", 0)
    refused, answered = server.handle_all([b"nonsense", good])
    assert isinstance(refused, FlexpError)
    assert answered == alone.handle(good)


def test_numbers_that_overflow_on_the_server_concern_their_client_alone() -> None:
    server = new_server("personal", *CLIENTS)
    with torch.no_grad():
        for pair in server.seats["bo"].personal.pairs.values():
            pair.B.fill_(float("inf"))
    bad, good = server.handle_all([data(Kind.FORWARD, name, 0) for name in ("bo", "ada")])
    assert isinstance(bad, StepError) and bad.client == "bo" and isinstance(good, bytes)
    assert isinstance(server.handle(data(Kind.BACKWARD, "ada", 0)), bytes)


@pytest.mark.parametrize("parts", [1, 2])
def test_labels_that_are_refused_begin_no_step(parts: int) -> None:
    """Sent again, the step meets the trunk as it is then."""
    server, alone = (new_server("shared", *CLIENTS, heads=("cy",)) for _ in range(2))
    with pytest.raises(StepError, match="the loss can't be computed"):
        server.handle(data(Kind.LABELS, "cy", 0, 0, parts, labels=torch.tensor([0, 7])))
    assert server.seats["cy"].step is None
    for one in (server, alone):
        train(one, "ada", 0)
    for part in range(parts):
        again = data(Kind.LABELS, "cy", 0, part, parts)
        assert server.handle(again) == alone.handle(again)
    assert same_weights(server, alone)


def test_labels_that_are_refused_leave_the_step_under_way() -> None:
    server, alone = (new_server("shared", *CLIENTS, heads=("cy",)) for _ in range(2))
    for one in (server, alone):
        one.handle(data(Kind.LABELS, "cy", 0, 0, 2))
    for step, part in ((0, 1), (1, 0)):
        with pytest.raises(StepError, match=f"step {step}"):
            server.handle(data(Kind.LABELS, "cy", step, part, 2, labels=torch.tensor([0, 7])))
    for one in (server, alone):
        one.handle(data(Kind.LABELS, "cy", 0, 1, 2))
    assert server.seats["cy"].applied == 0 and same_weights(server, alone)
