"""The server alone: exactly once, in any order, with trunk and personal adapters."""

from __future__ import annotations

import pytest
import torch
from flexp.catalog.models.lora import activate
from flexp.errors import RunError
from flexp.runtime.message import Kind

from .servers import ask, message, new_server, train, weights


def test_a_gradient_sent_twice_is_applied_once() -> None:
    server = new_server("shared", ("ada", 1))
    first = train(server, "ada", 0)
    after = weights(server)
    again = ask(server, Kind.BACKWARD, "ada", 0)
    assert torch.equal(first, again)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(server).items())


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(RunError, match="'eve'"):
        ask(new_server("shared", ("ada", 1)), Kind.PREDICT, "eve", 0)


def test_clients_may_interleave() -> None:
    """A step of one client between another's forward and backward pass loses nothing."""
    server = new_server("personal", ("ada", 1), ("bo", 2))
    ask(server, Kind.FORWARD, "ada", 0)
    train(server, "bo", 0)
    interleaved = ask(server, Kind.BACKWARD, "ada", 0)
    alone = train(new_server("personal", ("ada", 1)), "ada", 0)
    assert torch.equal(interleaved, alone)


def test_a_client_moves_only_the_blocks_it_crosses() -> None:
    server = new_server("shared", ("ada", 3))
    before = weights(server)
    train(server, "ada", 1)
    moved = {
        name.removeprefix("trunk/").partition(".")[0]
        for name, tensor in weights(server).items()
        if not torch.equal(tensor, before[name])
    }
    assert moved == {"3"}


def test_prediction_changes_nothing() -> None:
    server = new_server("aligned", ("ada", 1))
    train(server, "ada", 0)
    before = weights(server)
    first = ask(server, Kind.PREDICT, "ada", 1)
    assert torch.equal(first, ask(server, Kind.PREDICT, "ada", 1))
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(server).items())


@pytest.mark.parametrize(("server_side", "pairs"), [("shared", 1), ("personal", 1), ("aligned", 2)])
def test_the_effective_adapter_is_trunk_plus_personal(server_side: str, pairs: int) -> None:
    server = new_server(server_side, ("ada", 2))
    effective = server.effective("ada")
    assert {path.partition(".")[0] for path in effective} == {"2", "3"}
    assert {len(summands) for summands in effective.values()} == {pairs}


def test_what_one_client_learns_reaches_another_through_the_trunk_only() -> None:
    for server_side, reaches in (("shared", True), ("aligned", True), ("personal", False)):
        server = new_server(server_side, ("ada", 1), ("bo", 1))
        before = ask(server, Kind.PREDICT, "bo", 0)
        for step in range(3):
            train(server, "ada", step)
        changed = not torch.equal(before, ask(server, Kind.PREDICT, "bo", 0))
        assert changed == reaches, server_side


def test_a_larger_lambda_holds_personal_adapters_closer_to_the_trunk() -> None:
    norms = []
    for value in (0.0, 10.0):
        server = new_server("aligned", ("ada", 1), lambdas=(value,) * 4)
        for step in range(8):
            train(server, "ada", step)
        pairs = server.seats["ada"].personal.pairs.values()
        norms.append(sum((pair.B @ pair.A).square().sum().item() for pair in pairs))
    assert norms[1] < 0.5 * norms[0]


def test_activating_no_adapter_gives_the_frozen_backbone() -> None:
    server = new_server("shared", ("ada", 1))
    untouched = ask(server, Kind.PREDICT, "ada", 0)
    train(server, "ada", 1)
    assert not torch.equal(untouched, ask(server, Kind.PREDICT, "ada", 0))
    activate(server.linears)
    asked = message(Kind.PREDICT, "ada", 0)
    calls = server.middle.recipe(asked.masks, dict(asked.shapes))
    with torch.no_grad():
        torch.testing.assert_close(
            server.middle.run(asked.hidden, range(1, len(calls)), calls), untouched
        )
