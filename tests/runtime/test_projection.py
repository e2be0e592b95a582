"""A projection on the last block's output: exact where the model is split, and taken away."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.build import bare_model, build_model
from flexp.catalog.models.lora import activate, lora_linears, new_adapter
from flexp.catalog.models.projection import projected_block
from flexp.catalog.progress import no_progress
from flexp.errors import PlanError, UnsupportedModelError
from flexp.profiler.profile import ProfileSettings
from flexp.runtime import train as runtime_train
from flexp.runtime.batching import Crossing, JointPass
from flexp.runtime.export_merged import export_merged
from flexp.runtime.merge import load_merged
from flexp.runtime.middle import Middle
from flexp.runtime.redeploy import shifts
from flexp.runtime.split import attach

from .conftest import BLOCKS, HIDDEN, random_batch, small_config
from .jobs import CLIENTS, assert_same_end, run, small_plan, weights, with_depths
from .test_export import INPUTS, alone
from .test_split import PlainRemote, trainable

Checkpoint = Callable[[str], Path]
TARGETS = ("projection",)
SETTINGS = ProfileSettings(labels=3, lora_rank=4, lora_targets=TARGETS)
FAMILIES = ["bert", "llama", "gpt2"]
LAST = f"{BLOCKS - 1}.projection"


def linears_of(model: object) -> dict[str, object]:
    return lora_linears(block_stack(model.backbone)[1], range(BLOCKS))  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_one_changes_nothing_and_the_usual_layers_are_adapted_too(family: str) -> None:
    torch.manual_seed(0)
    model = bare_model(small_config(family), SETTINGS).eval()
    inputs, _ = random_batch(0)
    before = model(inputs)
    linears = linears_of(model)
    assert LAST in linears and len(linears) > BLOCKS
    activate(linears, new_adapter(linears, 4))
    assert torch.equal(model(inputs), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_multiplies_what_the_last_block_returns(family: str) -> None:
    torch.manual_seed(0)
    model = bare_model(small_config(family), SETTINGS).eval()
    _, blocks = block_stack(model.backbone)
    seen = []
    for block in blocks:
        block.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    linears = linears_of(model)
    adapter = new_adapter(linears, 4)
    inputs, _ = random_batch(0)
    hidden = []
    for W in (torch.zeros(HIDDEN, HIDDEN), torch.randn(HIDDEN, HIDDEN)):
        adapter.pairs[LAST].W.data = W
        activate(linears, adapter)
        seen.clear()
        model(inputs)
        output = seen[-1][1]
        hidden.append(output[0] if isinstance(output, tuple) else output)
    torch.testing.assert_close(hidden[1], hidden[0] + hidden[0] @ W.T)


@pytest.mark.parametrize(("depth", "top"), [(1, 0), (3, 0), (1, 1)])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_two_steps_split_equal_two_steps_unsplit(family: str, depth: int, top: int) -> None:
    torch.manual_seed(0)
    whole = build_model(small_config(family), SETTINGS)
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    client, server = copy.deepcopy(whole), copy.deepcopy(whole)
    attach(client.backbone, PlainRemote(server.backbone, depth, top=top), depth, top)
    name = next(n for n, _ in whole.named_parameters() if n.endswith("active.0.W"))
    owner = client if top else server
    for step in range(2):
        inputs, labels = random_batch(step)
        losses = []
        for model, trained in ((whole, [whole]), (client, [client, server.backbone])):
            loss = model.loss(inputs, labels)
            loss.backward()
            losses.append(loss.detach())
            for parameter in trainable(*trained):
                if parameter.grad is not None:
                    parameter.data -= 0.1 * parameter.grad
        assert torch.equal(*losses)
        own = dict(owner.named_parameters())[name]
        assert own.grad is not None and own.grad.any()
        assert torch.equal(own.grad, dict(whole.named_parameters())[name].grad)
        for model in (whole, client, server):
            model.zero_grad()


def test_clients_in_one_pass_get_what_separate_passes_would_give_them() -> None:
    torch.manual_seed(0)
    model = bare_model(small_config("bert"), SETTINGS).double()
    middle = Middle(model.backbone.requires_grad_(False))
    linears = lora_linears(middle.blocks, range(BLOCKS))
    crossings = []
    for start in (1, 2, 3):
        pairs = new_adapter(linears, 4).pairs
        weights = {
            path: tuple(torch.randn_like(part) * 0.1 for part in pair.parameters())
            for path, pair in pairs.items()
        }
        crossings.append(
            Crossing(
                entry_BTH=torch.randn(2, 7, HIDDEN, dtype=torch.float64),
                span=range(start, BLOCKS),
                masks={"attention_mask": torch.ones(2, 7, dtype=torch.uint8)},
                shapes={"input_ids": [2, 7]},
                adapters=(weights,),
            )
        )
    wanted = [torch.randn_like(crossing.entry_BTH) for crossing in crossings]
    joint = JointPass(middle, linears, crossings, training=True)
    outputs = list(joint.outputs)
    gradients = joint.gradients(dict(enumerate(wanted)))
    for number, crossing in enumerate(crossings):
        alone = JointPass(middle, linears, [crossing], training=True)
        torch.testing.assert_close(outputs[number], alone.outputs[0])
        expected = alone.gradients({0: wanted[number]})[0]
        assert expected.adapters[0][LAST][0].any()
        torch.testing.assert_close(gradients[number].adapters, expected.adapters)
        torch.testing.assert_close(gradients[number].entry_BTH, expected.entry_BTH)


@pytest.mark.parametrize("server_side", ["shared", "personal", "aligned"])
def test_a_resumed_run_ends_with_the_same_weights(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side, targets=TARGETS)
    changes = {"alignment": "linear:0.1"} if server_side == "aligned" else {}
    run(plan, tmp_path / "whole", **changes)
    run(plan, tmp_path / "parts", stop_after=7, **changes)
    assert run(plan, tmp_path / "parts", resume=True, **changes) is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_a_head_on_the_server_sees_it_once(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"), targets=TARGETS)
    clients = tuple(entry.model_copy(update={"head": "server"}) for entry in plan.clients)
    run(plan, tmp_path / "device")
    run(plan.model_copy(update={"clients": clients}), tmp_path / "server")
    expected, got = weights(tmp_path / "device"), weights(tmp_path / "server")
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(got[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_depths_change_below_it_and_it_stays_where_it_is(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    plan = small_plan(checkpoint("bert"), server_side="aligned", targets=TARGETS)
    run(plan, tmp_path, stop_after=9)
    moved = with_depths(plan, 2, 1, 3)
    assert run(moved, tmp_path, resume=True, adapter_upload=True) is not None
    with pytest.raises(PlanError, match="ada gets or gives the last block"):
        shifts(plan, with_depths(plan, 1, 2, 3, tops=(1, 0, 0)))


@pytest.mark.parametrize("server_side", ["shared", "aligned"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_client_takes_away_predicts_as_the_split_model_did(
    tmp_path: Path,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    server_side: str,
) -> None:
    jobs, assemble = [], runtime_train.assemble
    monkeypatch.setattr(
        runtime_train, "assemble", lambda *given: jobs.append(assemble(*given)) or jobs[-1]
    )
    plan = small_plan(checkpoint(family), server_side=server_side, targets=TARGETS)
    run(plan, tmp_path / "run", learning_rate=0.05)
    for name in CLIENTS:
        folder = tmp_path / "run" / "clients" / name
        weight = safetensors.torch.load_file(folder / "projection.safetensors")["weight"]
        assert (weight - torch.eye(HIDDEN)).abs().max() > 0.01
        adapter = safetensors.torch.load_file(folder / "adapter_model.safetensors")
        assert not any("projection" in key for key in adapter)
        merged = load_merged(tmp_path / "run", name, None, no_progress)
        assert projected_block(merged.model.backbone) is not None
        expected = jobs[0].clients[name].predict(INPUTS)
        torch.testing.assert_close(merged.model(INPUTS), expected, rtol=1e-5, atol=1e-5)


def test_transformers_alone_runs_it(tmp_path: Path, checkpoint: Checkpoint) -> None:
    folders, expected = [], []
    for family in FAMILIES:
        plan = small_plan(checkpoint(family), targets=TARGETS)
        run(plan, tmp_path / "runs" / family, learning_rate=0.05)
        merged = load_merged(tmp_path / "runs" / family, "cy", None, no_progress)
        words = merged.batcher.tokenizer(
            ["w0 w1 w2 w3", "w4 w5"], padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            inputs = {name: words[name] for name in ("input_ids", "attention_mask")}
            expected.append(merged.model(inputs))
        folders.append(tmp_path / "exported" / family)
        export_merged(merged, folders[-1])
    found = alone(folders, tmp_path)
    for folder, logits in zip(folders, expected, strict=True):
        torch.testing.assert_close(torch.tensor(found[str(folder)]), logits, rtol=1e-5, atol=1e-5)


def test_a_language_model_has_none() -> None:
    settings = ProfileSettings(task="causal-lm", lora_targets=TARGETS)
    with pytest.raises(UnsupportedModelError, match="--targets projection"):
        bare_model(small_config("llama"), settings)
