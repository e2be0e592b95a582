"""Full fine-tuning and heads alone, split: exact, once, and as lean as the plan says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from flexp.catalog.models.build import bare_model
from flexp.catalog.models.heads import own_copy
from flexp.catalog.progress import no_progress
from flexp.errors import PlanError, UnsupportedModelError
from flexp.planner.plan import Plan
from flexp.profiler.costs import STATE_COPIES, wire_bytes
from flexp.profiler.measure import profile_model
from flexp.profiler.placement import Placement
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.assemble import assemble
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.merge import load_merged
from flexp.runtime.message import Kind
from flexp.runtime.optim import OPTIMIZERS, apply, learning_rate_factor, moments
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.server_head import HeadSettings, ServerHead
from flexp.runtime.wire import Wire

from .conftest import random_batch, small_model
from .families import FAMILIES, batch_of
from .jobs import CLIENTS, STEPS, assert_same_end, run, settings_for, small_plan, text_data
from .jobs import weights as taken_weights
from .servers import ask, new_server, train
from .servers import weights as server_weights

RATE, HEAD_RATE = 1e-3, 3e-3
Checkpoint = Callable[[str], Path]


def split(
    template: Any,
    placement: Placement,
    method: Any,
    side: Any,
    optimizer: Any,
    frozen: bool | None = None,
) -> tuple[Client, Server]:
    """One client and its server."""
    settings = ServerSettings(
        server_side=side,
        codec="fp32",
        steps=STEPS,
        learning_rate=RATE,
        lambdas=(0.0,) * 4,
        rank=4,
        seed=0,
        method=method,
        optimizer=optimizer,
        frozen=method == "head" if frozen is None else frozen,
    )
    remote = own_copy(template)
    server, head = Server(remote.backbone, settings), None
    if placement.head == "server":
        how = HeadSettings(learning_rate=HEAD_RATE, steps=STEPS, optimizer=optimizer)
        at_home = own_copy(remote, server.middle.blocks)
        head = ServerHead("ada", at_home, server.middle, how)
    server.admit("ada", placement.depth, placement.top, head)
    wire = Wire("ada", server.handle, "fp32", frozen=settings.frozen)
    own = ClientSettings(
        steps=STEPS,
        learning_rate=RATE,
        head_rate=HEAD_RATE,
        rank=4,
        seed=0,
        optimizer=optimizer,
    )
    return Client("ada", own_copy(template), placement, wire, own), server


def optimizers(whole: Any, name: str) -> list[tuple[torch.optim.Optimizer, float]]:
    """Of the unsplit model, with a rate of its own for the head."""
    heads = {id(parameter) for parameter in whole.head.parameters()}
    trained = [p for p in whole.parameters() if p.requires_grad]
    groups = [
        ([p for p in trained if id(p) not in heads], RATE),
        ([p for p in trained if id(p) in heads], HEAD_RATE),
    ]
    return [(OPTIMIZERS[name](own, rate), rate) for own, rate in groups if own]


@pytest.mark.parametrize(
    ("method", "side", "optimizer", "placement"),
    [
        ("full", "personal", "adamw", Placement(1)),
        ("full", "shared", "adamw", Placement(3)),
        ("full", "shared", "sgd", Placement(1, top=2)),
        ("head", "shared", "adamw", Placement(2)),
        ("head", "shared", "adamw", Placement(1, top=1, checkpointing=True)),
        ("head", "personal", "sgd", Placement(2, head="server")),
    ],
)
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_three_steps_equal_three_steps_unsplit(
    family: str, method: str, side: str, optimizer: str, placement: Placement
) -> None:
    template = small_model(family, method)
    client, server = split(template, placement, method, side, optimizer)
    whole = own_copy(template)
    steppers = optimizers(whole, optimizer)
    for step in range(3):
        inputs, labels = random_batch(step)
        loss = whole.loss(inputs, labels)
        loss.backward()
        for one, rate in steppers:
            apply(one, [rate], learning_rate_factor(step, STEPS))
        assert client.train_step(step, inputs, labels) == loss.item()
    held = dict(client.model.named_parameters())
    seat = server.seats["ada"]
    if seat.head is not None:
        held |= {f"head.{name}": p for name, p in seat.head.model.head.named_parameters()}
    stack = f"backbone.{client.stack}"
    remote = server.effective_weights("ada") if method == "full" else {}
    held |= {f"{stack}.{name}": weight for name, weight in remote.items()}
    trained = {name: p for name, p in whole.named_parameters() if p.requires_grad}
    assert trained and all(torch.equal(held[name], p) for name, p in trained.items())
    before = dict(template.named_parameters())
    assert all(not torch.equal(before[name], p) for name, p in trained.items() if p.dim() > 1)


def test_a_shared_trunk_is_the_backbone_itself_and_a_personal_one_a_copy() -> None:
    for side, owners in (("shared", 0), ("personal", 2), ("aligned", 2)):
        server = new_server(side, ("ada", 1), ("bo", 3), method="full")
        blocks = dict(server.middle.blocks.named_parameters())
        trunk = server.trunk.named()
        assert trunk.keys() == (blocks.keys() if side != "personal" else set())
        assert all(p.data_ptr() == blocks[name].data_ptr() for name, p in trunk.items())
        assert sum(len(seat.personal) > 0 for seat in server.seats.values()) == owners
    own = {name.partition(".")[0] for name in server.seats["bo"].personal.named()}
    assert own == {"3"}


def test_shared_weights_are_copied_only_under_a_step_under_way() -> None:
    server = new_server("shared", ("ada", 1), ("bo", 2), method="full")
    places = [p.data_ptr() for p in server.trunk.parameters()]
    for step in range(2):
        train(server, "ada", step)
        train(server, "bo", step)
    assert [p.data_ptr() for p in server.trunk.parameters()] == places
    ask(server, Kind.FORWARD, "ada", 2)
    train(server, "bo", 2)
    assert not set(places) & {p.data_ptr() for p in server.trunk.parameters()}


@pytest.mark.parametrize("side", ["shared", "personal", "aligned"])
def test_a_step_computes_with_the_weights_that_it_found(side: str) -> None:
    """And a gradient counts once, whoever trains in between."""
    server, alone = (new_server(side, ("ada", 1), ("bo", 2), method="full") for _ in range(2))
    ask(server, Kind.FORWARD, "ada", 0)
    train(server, "bo", 0)
    found = server_weights(server)
    late = ask(server, Kind.BACKWARD, "ada", 0)
    assert torch.equal(late, train(alone, "ada", 0))
    after = server_weights(server)
    assert any(not torch.equal(found[name], tensor) for name, tensor in after.items())
    assert torch.equal(ask(server, Kind.BACKWARD, "ada", 0), late)
    assert all(torch.equal(tensor, after[name]) for name, tensor in server_weights(server).items())


def test_aligned_weights_add_up_and_lambda_holds_them_to_the_trunk() -> None:
    norms = []
    for value in (0.0, 10.0):
        server = new_server("aligned", ("ada", 1), method="full", lambdas=(value,) * 4)
        for step in range(6):
            train(server, "ada", step)
        personal = server.seats["ada"].personal.named()
        norms.append(sum(delta.square().sum().item() for delta in personal.values()))
        effective, trunk = server.effective_weights("ada"), server.trunk.named()
        for name, delta in personal.items():
            assert torch.equal(effective[name], trunk[name] + delta)
    assert 0 < norms[1] < 0.8 * norms[0]


def test_a_frozen_step_sends_no_gradient_and_is_over_with_its_answer() -> None:
    server = new_server("shared", ("ada", 1), ("bo", 1), heads=("bo",), method="head")
    first = ask(server, Kind.FORWARD, "ada", 0)
    seat = server.seats["ada"]
    assert (seat.applied, seat.step) == (0, None)
    assert torch.equal(ask(server, Kind.FORWARD, "ada", 0), first)
    assert ask(server, Kind.LABELS, "bo", 0).numel() == 1
    moved = server_weights(server)
    assert ask(server, Kind.LABELS, "bo", 0).numel() == 1
    assert all(torch.equal(tensor, moved[name]) for name, tensor in server_weights(server).items())
    assert server.seats["bo"].applied == 0


def plan_of(folder: Path, method: str, side: str, **changes: Any) -> Plan:
    plan = small_plan(folder, server_side=side)
    settings = plan.settings.model_copy(update={"method": method})
    clients = tuple(
        entry.model_copy(update=changes if number else {})
        for number, entry in enumerate(plan.clients)
    )
    return plan.model_copy(update={"settings": settings, "clients": clients})


RUNS = [
    ("bert", "full", "personal", {"micro_batches": 2}),
    ("llama", "full", "shared", {}),
    ("gpt2", "full", "aligned", {"top": 1, "depth": 2}),
    ("bert", "head", "shared", {"head": "server"}),
    ("llama", "head", "shared", {"micro_batches": 2}),
]


@pytest.mark.parametrize(("family", "method", "side", "changes"), RUNS)
def test_a_run_learns_resumes_and_leaves_what_it_trained(
    tmp_path: Path, checkpoint: Checkpoint, family: str, method: str, side: str, changes: Any
) -> None:
    plan = plan_of(checkpoint(family), method, side, **changes)
    rates = {"learning_rate": 1e-3, "head_rate": 1e-2}
    whole = run(plan, tmp_path / "whole", **rates)
    assert whole is not None
    losses = [(client.first_loss, client.last_loss) for client in whole.clients.values()]
    first, last = (sum(own) for own in zip(*losses, strict=True))
    assert last < first
    assert run(plan, tmp_path / "parts", stop_after=7, **rates) is None
    assert run(plan, tmp_path / "parts", resume=True, **rates) is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    names = {name.partition("/")[2] for name in taken_weights(tmp_path / "whole")}
    assert ("weight" in names) and (len(names) > 2) == (method == "full")
    for name in CLIENTS:
        merged = load_merged(tmp_path / "whole", name, None, no_progress)
        rows = [row for row in text_data().rows if row.client == name and row.split == "test"]
        ids = merged.batcher.token_ids([row.text for row in rows])
        predicted = merged.model(merged.batcher.inputs(ids)).argmax(-1)
        right = [
            merged.classes[int(p)] == row.label for p, row in zip(predicted, rows, strict=True)
        ]
        assert sum(right) / len(right) == whole.clients[name].after.personal


@pytest.mark.parametrize("head", ["device", "server"])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_heads_alone_send_what_the_plan_promises(
    family: str, head: Any, checkpoint: Checkpoint
) -> None:
    template = small_model(family, "head")
    client, _ = split(template, Placement(2, head=head), "head", "shared", "adamw")
    inputs, labels = random_batch(0)
    client.train_step(0, inputs, labels)
    plan = plan_of(checkpoint(family), "head", "shared")
    batch, length = inputs["input_ids"].shape
    shape = {"batch": batch, "length": length}
    profile = profile_model(str(checkpoint(family)), plan.settings.model_copy(update=shape))
    promised = wire_bytes(profile, Placement(2, head=head), "fp32")
    for measured, most in (
        (client.wire.traffic.up_bytes, promised.up),
        (client.wire.traffic.down_bytes, promised.down),
    ):
        assert most - 1024 <= measured <= most


def test_what_full_fine_tuning_can_not_do_is_refused(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    remote = plan_of(checkpoint("bert"), "full", "shared", head="server")
    with pytest.raises(UnsupportedModelError, match=r"head of 'bo\.2' on the server"):
        assemble(remote, settings_for(remote), text_data(), no_progress)
    plan = plan_of(checkpoint("bert"), "full", "shared")
    assert run(plan, tmp_path, stop_after=4) is None
    deeper = plan_of(checkpoint("bert"), "full", "shared", depth=3)
    with pytest.raises(PlanError, match="all weights train"):
        run(deeper, tmp_path, resume=True)


@pytest.mark.parametrize("method", ["full", "head"])
def test_a_tied_vocabulary_trains_on_the_device(method: Any) -> None:
    """Where only the head trains, its gradient comes back through every frozen block."""
    settings = ProfileSettings(task="causal-lm", method=method)
    torch.manual_seed(0)
    template = bare_model(copy.deepcopy(FAMILIES["gpt2"]), settings)
    assert template.head.weight is template.backbone.get_input_embeddings().weight
    client, _ = split(template, Placement(2), method, "shared", "adamw", frozen=False)
    whole = own_copy(template)
    steppers = optimizers(whole, "adamw")
    for step in range(2):
        inputs, labels = batch_of(template, "causal-lm", "right")
        loss = whole.loss(inputs, labels)
        loss.backward()
        for one, rate in steppers:
            apply(one, [rate], learning_rate_factor(step, STEPS))
        assert client.train_step(step, inputs, labels) == loss.item()
    table = client.model.head.weight
    assert torch.equal(table, whole.head.weight) and not torch.equal(table, template.head.weight)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("side", ["shared", "personal"])
def test_the_server_holds_what_the_plan_counts(
    side: str, optimizer: str, checkpoint: Checkpoint
) -> None:
    """Weights and moments of what trains in its blocks, beside a gradient while a step lasts."""
    client, server = split(small_model("bert", "full"), Placement(1), "full", side, optimizer)
    client.train_step(0, *random_batch(0))
    settings = ProfileSettings(method="full", labels=3, optimizer=optimizer)
    profile = profile_model(str(checkpoint("bert")), settings)
    blocks = profile.block_units[0 if side == "shared" else 1 :]
    size = sum(block.trainable_bytes for block in blocks)
    seat = server.seats["ada"]
    owned, stepper = (
        (server.trunk, server.optimizer) if side == "shared" else (seat.personal, seat.optimizer)
    )
    assert sum(p.nbytes for p in owned.parameters()) == size
    assert all(p.grad is None for p in owned.parameters())
    assert stepper is not None
    crossed = sum(block.trainable_bytes for block in profile.block_units[1:])
    kept = [moments(stepper, p).values() for p in owned.parameters()]
    large = sum(value.nbytes for values in kept for value in values if value.dim())
    assert large == STATE_COPIES[optimizer] * crossed
