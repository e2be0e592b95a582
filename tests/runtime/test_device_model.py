"""Each machine loads its own part of a checkpoint, and the parts train as the whole does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.build import load_model
from flexp.catalog.models.entry import load_config
from flexp.catalog.models.heads import TaskModel, own_copy
from flexp.errors import RunError
from flexp.profiler.placement import Placement
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.device_model import Part, load_device_model, load_server_model
from flexp.runtime.middle import Middle
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.server_head import HeadSettings, ServerHead
from flexp.runtime.wire import Wire

from .families import BLOCKS, FAMILIES, LABELS, batch_of, tasks_of, whole_model

SHARD_BYTES = 30_000
PLACEMENTS = (Placement(2, top=1), Placement(1, head="server"))
VOCABULARY, HEAD = ("word_embeddings.", "embed_tokens", "wte"), ("lm_head", "embed_out")
FAST = {"llama", "gpt2", "deberta-v2", "mixtral", "vit", "opt-projected"}


@pytest.fixture(
    scope="module",
    params=[
        family if family in FAST else pytest.param(family, marks=pytest.mark.slow)
        for family in FAMILIES
    ],
)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(task, a sharded checkpoint of a random model) of every family."""
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    task = tasks_of(family)[0]
    whole_model(family, task).root.save_pretrained(folder, max_shard_size=SHARD_BYTES)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return task, folder


def settings_of(task: str, method: str = "lora") -> ProfileSettings:
    return ProfileSettings(task=task, labels=LABELS, method=method, lora_rank=4)


def same_head(part: Part, whole: TaskModel) -> None:
    """Heads of classes are not in a checkpoint: they start at random."""
    if isinstance(part.head, torch.nn.Linear):
        part.head.load_state_dict(whole.head.state_dict())


@pytest.mark.parametrize("placement", PLACEMENTS, ids=["top", "head away"])
def test_the_parts_train_as_the_whole_checkpoint_does(saved: Any, placement: Placement) -> None:
    task, folder = saved
    config, settings = load_config(str(folder)), settings_of(task)
    whole = load_model(folder, config, settings)
    served = range(placement.depth, BLOCKS - placement.top)
    heads = placement.head == "server"
    own = load_device_model(folder, config, settings, placement)
    remote = load_server_model(folder, config, settings, served, heads)
    same_head(own, whole)
    same_head(remote, whole)
    losses = [client_of(whole, whole, placement), client_of(own, remote, placement)]
    for step in range(2):
        inputs, labels = batch_of(whole, task, "right")
        one, other = (client.train_step(step, inputs, labels) for client in losses)
        assert one == other


def server_settings() -> ServerSettings:
    return ServerSettings(
        server_side="shared",
        codec="fp32",
        steps=9,
        learning_rate=1e-2,
        rank=4,
        seed=0,
        lambdas=(0.0,) * BLOCKS,
    )


def client_of(own: Part, remote: Part, placement: Placement) -> Client:
    own, remote = own_copy(own), own_copy(remote)
    server = Server(remote.backbone, server_settings())
    head = None
    if placement.head == "server":
        head_settings = HeadSettings(learning_rate=1e-2, steps=9)
        head = ServerHead("a", own_copy(remote, server.middle.blocks), server.middle, head_settings)
    server.admit("a", placement.depth, placement.top, head)
    client_settings = ClientSettings(steps=9, learning_rate=1e-2, head_rate=1e-2, rank=4, seed=0)
    return Client("a", own, placement, Wire("a", server.handle, "fp32"), client_settings)


def held_blocks(part: Part) -> Iterator[int]:
    for index, block in enumerate(block_stack(part.root)[1]):
        if any(True for _ in block.parameters()):
            yield index


def outside_blocks(part: Part) -> set[str]:
    stack, _ = block_stack(part.root)
    return {name for name, _ in part.root.named_parameters() if not name.startswith(f"{stack}.")}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_machine_holds_its_own_part_alone(saved: Any, method: str) -> None:
    task, folder = saved
    config, settings = load_config(str(folder)), settings_of(task, method)
    own = load_device_model(folder, config, settings, Placement(2, top=1))
    away = load_device_model(folder, config, settings, Placement(2, head="server"))
    served = load_server_model(folder, config, settings, range(2, 4))
    assert [list(held_blocks(part)) for part in (own, away, served)] == [[0, 1, 4], [0, 1], [2, 3]]
    assert not any(p.is_meta for part in (own, away, served) for p in part.parameters())
    assert not any(words in name for name in outside_blocks(served) for words in VOCABULARY)
    for part in (served, away):
        assert not any(words in name for name in outside_blocks(part) for words in HEAD)
    assert Middle(served.backbone).backbone is served.backbone


def test_a_client_of_blocks_that_a_server_did_not_load(tmp_path: Path) -> None:
    whole_model("bert", "classification").root.save_pretrained(tmp_path)
    config, settings = load_config(str(tmp_path)), settings_of("classification")
    part = load_server_model(tmp_path, config, settings, range(2, BLOCKS))
    server = Server(part.backbone, server_settings())
    server.admit("bo", 2)
    with pytest.raises(RunError, match=r"'ada' needs blocks 1 to 4 .* has no block 1"):
        server.admit("ada", 1)


def test_a_server_holds_a_tied_head_once(tmp_path: Path) -> None:
    whole_model("gpt2", "causal-lm").root.save_pretrained(tmp_path)
    config, settings = load_config(str(tmp_path)), settings_of("causal-lm")
    part = load_server_model(tmp_path, config, settings, range(1, BLOCKS), heads=True)
    Middle(part.backbone)
    sizes = [p.numel() for name, p in part.root.named_parameters() if ".h." not in name]
    assert sizes.count(config.vocab_size * config.n_embd) == 1
    assert part.head.weight.requires_grad is False
