"""The server alone: exactly once, in any order, with trunk and personal adapters."""

from __future__ import annotations

import pytest
import torch
from flexp.catalog.models.build import build_model
from flexp.catalog.models.lora import LoraLinear, activate
from flexp.errors import RunError
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.message import Kind, Message, decode, encode
from flexp.runtime.server import Server, ServerSettings
from torch import Tensor

from .conftest import small_config


def new_server(server_side: str, *clients: tuple[str, int], **changes: object) -> Server:
    torch.manual_seed(0)
    model = build_model(small_config("bert"), ProfileSettings(labels=3, lora_rank=4))
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.active = torch.nn.ModuleList()
    settings = ServerSettings(
        server_side=server_side,
        codec="fp32",
        steps=10,
        learning_rate=1e-2,
        rank=4,
        seed=0,
        **{"lambdas": (0.0,) * 4, **changes},
    )
    server = Server(model.backbone, settings)
    for name, depth in clients:
        server.admit(name, depth)
    return server


def ask(server: Server, kind: Kind, client: str, step: int, seed: int = 0) -> Tensor:
    hidden = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(seed))
    masks = {} if kind is Kind.BACKWARD else {"attention_mask": torch.ones(2, 5, dtype=torch.uint8)}
    shapes = {} if kind is Kind.BACKWARD else {"input_ids": [2, 5]}
    message = Message(
        kind=kind, client=client, step=step, hidden=hidden, masks=masks, shapes=shapes
    )
    return decode(server.handle(encode(message, "fp32"))).hidden


def train(server: Server, client: str, step: int) -> Tensor:
    ask(server, Kind.FORWARD, client, step)
    return ask(server, Kind.BACKWARD, client, step, seed=1)


def weights(server: Server) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in server.trunk.tensors().items()}


def test_a_gradient_sent_twice_is_applied_once() -> None:
    server = new_server("shared", ("ada", 1))
    first = train(server, "ada", 0)
    after = weights(server)
    again = ask(server, Kind.BACKWARD, "ada", 0, seed=1)
    assert torch.equal(first, again)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(server).items())


def test_a_gradient_without_its_forward_pass_is_refused() -> None:
    server = new_server("shared", ("ada", 1))
    ask(server, Kind.FORWARD, "ada", 4)
    with pytest.raises(RunError, match=r"'ada'.*step 5"):
        ask(server, Kind.BACKWARD, "ada", 5)


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(RunError, match="'eve'"):
        ask(new_server("shared", ("ada", 1)), Kind.PREDICT, "eve", 0)


def test_clients_may_interleave() -> None:
    """A step of one client between another's forward and backward pass loses nothing."""
    server = new_server("personal", ("ada", 1), ("bo", 2))
    ask(server, Kind.FORWARD, "ada", 0)
    train(server, "bo", 0)
    interleaved = ask(server, Kind.BACKWARD, "ada", 0, seed=1)
    alone = train(new_server("personal", ("ada", 1)), "ada", 0)
    assert torch.equal(interleaved, alone)


def test_a_client_moves_only_the_blocks_it_crosses() -> None:
    server = new_server("shared", ("ada", 3))
    before = weights(server)
    train(server, "ada", 1)
    moved = {
        name.partition(".")[0]
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
    calls = server.middle.recipe({}, {"input_ids": [2, 5]})
    hidden = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            server.middle.run(hidden, range(1, len(calls)), calls), untouched
        )
