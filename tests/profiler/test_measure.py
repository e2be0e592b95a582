"""Figures of a profile against formulas, hand counts and runs of the whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from flexp.catalog.models.build import build_model
from flexp.catalog.models.entry import load_config
from flexp.errors import FieldError, UnsupportedModelError
from flexp.profiler.config_slice import with_blocks
from flexp.profiler.fake import fake_tensors, make_fake, training_batch
from flexp.profiler.flops import flop_counter
from flexp.profiler.live_memory import LiveMemory
from flexp.profiler.measure import profile_config, profile_model
from flexp.profiler.profile import Profile, ProfileSettings
from transformers import (
    BertConfig,
    GPT2Config,
    GPTBigCodeConfig,
    LlamaConfig,
    MixtralConfig,
    ModernBertConfig,
    SwinConfig,
    T5Config,
    ViTConfig,
)

B, T, H, HEADS, INNER, V, BLOCKS = 2, 24, 64, 4, 160, 500, 6
KV = 32
"""Width of llama's keys and values: 2 heads of 16."""
FP32 = 4
RANK = 8

BERT = {"hidden_size": H, "num_attention_heads": HEADS, "intermediate_size": INNER, "vocab_size": V}
CONFIGS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2Config(n_embd=H, n_layer=BLOCKS, n_head=HEADS, n_inner=INNER, vocab_size=V),
    "bert": lambda: BertConfig(num_hidden_layers=BLOCKS, **BERT),
    "llama": lambda: LlamaConfig(num_hidden_layers=BLOCKS, num_key_value_heads=2, **BERT),
}


def settings(**fields: Any) -> ProfileSettings:
    return ProfileSettings(**{"batch": B, "length": T, "method": "full", "labels": 5, **fields})


class Linear(NamedTuple):
    inputs: int
    outputs: int
    first: bool = False
    """It reads the block's input, with no layer of another kind than norms between."""
    adapted: bool = False
    """LoRA adapts it by default."""


LINEARS = {
    "gpt2": [Linear(H, 3 * H, True, True), Linear(H, H), Linear(H, INNER), Linear(INNER, H)],
    "bert": [
        *(Linear(H, H, True, adapted) for adapted in (True, False, True)),
        *(Linear(H, H), Linear(H, INNER), Linear(INNER, H)),
    ],
    "llama": [
        *(Linear(H, H, True, True), Linear(H, KV, True), Linear(H, KV, True, True)),
        *(Linear(H, H), Linear(H, INNER), Linear(H, INNER), Linear(INNER, H)),
    ],
}


def block_flops(family: str, method: str, first_block: bool) -> tuple[int, int]:
    """Forward and backward FLOPs of a block for the batch.

    Forward: 2·T·in·out a linear layer, 4·T·T·H attention, 2·T·r·(in + out) a pair of adapters.
    Backward: once again for the gradient of a layer's input, and once for that of its weights,
    each where it is needed; attention 2.5 times its forward, for the scores are computed anew.
    """
    forward, backward = 4 * T * T * H, 10 * T * T * H
    for linear in LINEARS[family]:
        product = 2 * T * linear.inputs * linear.outputs
        forward += product
        frozen_input = method == "lora" and first_block and linear.first
        backward += product * ((method == "full") + (not frozen_input))
        if method == "lora" and linear.adapted:
            down, up = 2 * T * RANK * linear.inputs, 2 * T * RANK * linear.outputs
            forward += down + up
            backward += down * (1 + (not frozen_input)) + 2 * up
    return B * forward, B * backward


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", CONFIGS)
def test_flops_of_a_block_equal_the_formula(family: str, method: str) -> None:
    profile = profile_config(family, CONFIGS[family](), settings(method=method))
    assert profile.blocks == BLOCKS
    for index, block in enumerate(profile.block_units):
        expected = block_flops(family, method, index == 0)
        assert (block.forward_flops, block.backward_flops) == expected


@pytest.mark.parametrize(
    ("task", "method", "forward", "backward"),
    [
        ("classification", "full", 2 * B * H * 5, 4 * B * H * 5),
        ("classification", "lora", 2 * B * H * 5, 4 * B * H * 5),
        ("token-classification", "lora", 2 * B * T * H * 5, 4 * B * T * H * 5),
        ("causal-lm", "full", 2 * B * T * H * V, 4 * B * T * H * V),
        ("causal-lm", "lora", 2 * B * T * H * V, 2 * B * T * H * V),  # the table is frozen
    ],
)
def test_flops_of_embedding_and_head(task: str, method: str, forward: int, backward: int) -> None:
    profile = profile_config("llama", CONFIGS["llama"](), settings(task=task, method=method))
    assert (profile.embedding.forward_flops, profile.embedding.backward_flops) == (0, 0)
    assert (profile.head.forward_flops, profile.head.backward_flops) == (forward, backward)


@pytest.mark.parametrize(
    ("method", "widths", "adapted"),
    [
        # q, k, v, attention, its sum and norm, before and after gelu, sum and norm again
        ("full", 6 * H + 2 * INNER + 2 * H, 0),
        # frozen layers keep no input: not the first norm's output, not gelu's
        ("lora", 5 * H + INNER + 2 * H, 2),
    ],
)
def test_saved_bytes_of_a_bert_block_equal_a_hand_count(
    method: str, widths: int, adapted: int
) -> None:
    statistics = 2 * 2 * T + HEADS * T  # mean and deviation of two norms; attention's log-sums
    mask = T * T
    pairs = adapted * RANK * T  # A x, which the gradient of B needs
    expected = FP32 * B * (widths * T + statistics + mask + pairs)
    profile = profile_config("bert", CONFIGS["bert"](), settings(method=method))
    assert [block.saved_bytes for block in profile.block_units[1:]] == [expected] * (BLOCKS - 1)


class Whole(NamedTuple):
    """One step of the whole model under the same counters."""

    saved_bytes: int
    peak_bytes: int
    flops: int
    parameters: int


def whole_run(config: Any, wanted: ProfileSettings) -> Whole:
    with torch.device("meta"):
        model = build_model(config, wanted)
    with fake_tensors():
        make_fake(model)
        memory = LiveMemory([*model.parameters(), *model.buffers()])
        counter = flop_counter()
        with counter, memory:
            inputs, labels = training_batch(model, wanted)
            loss = model.loss(inputs, labels)
            saved_bytes = memory.live_bytes.total()
            loss.backward()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Whole(saved_bytes, memory.peak_bytes, counter.get_total_flops(), parameters)


def composed_peak_bytes(profile: Profile) -> int:
    """What docs/profiler.md says of the peak of one step, weights excluded."""
    units = profile.units
    saved = [unit.saved_bytes for unit in units]
    gradients = [unit.trainable_bytes for unit in units]
    forward = [sum(saved[:i]) + unit.forward_transient_bytes for i, unit in enumerate(units)]
    backward = [
        sum(saved[: i + 1]) + sum(gradients[i + 1 :]) + unit.backward_transient_bytes
        for i, unit in enumerate(units)
    ]
    return max(forward + backward)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize(
    ("family", "task"),
    [
        (family, task)
        for family in CONFIGS
        for task in ("classification", "token-classification", "causal-lm")
        if (family, task) != ("bert", "causal-lm")  # refused, see below
    ],
)
def test_units_compose_to_the_whole_model(family: str, method: str, task: str, depth: int) -> None:
    config = with_blocks(CONFIGS[family](), range(depth))
    wanted = settings(method=method, task=task)
    profile = profile_config(family, config, wanted)
    whole = whole_run(config, wanted)
    units = profile.units
    assert sum(u.parameters for u in units) == whole.parameters
    assert sum(u.forward_flops + u.backward_flops for u in units) == whole.flops
    # a head may drop the last block's output, which the following block would have kept
    output_bytes = B * T * H * FP32
    assert profile.block_units[-1].boundary_bytes == output_bytes
    assert 0 <= sum(u.saved_bytes for u in units) - whole.saved_bytes <= output_bytes
    assert 0 <= composed_peak_bytes(profile) - whole.peak_bytes <= output_bytes
    if family != "bert":
        assert composed_peak_bytes(profile) == whole.peak_bytes


@pytest.mark.parametrize("family", CONFIGS)
def test_fake_tensors_take_the_memory_that_real_ones_take(family: str) -> None:
    config = with_blocks(CONFIGS[family](), range(2))
    wanted = settings()
    model = build_model(config, wanted)
    memory = LiveMemory([*model.parameters(), *model.buffers()])
    with memory:
        inputs, labels = training_batch(model, wanted)
        inputs["attention_mask"][0, -1] = 0  # without padding, a real run drops the mask
        loss = model.loss(inputs, labels)
        saved_bytes = memory.live_bytes.total()
        loss.backward()
    fake = whole_run(config, wanted)
    assert saved_bytes == pytest.approx(fake.saved_bytes, rel=1e-3)
    assert memory.peak_bytes == pytest.approx(fake.peak_bytes, rel=1e-3)


@pytest.mark.parametrize("tied", [True, False])
def test_tied_weights_count_once(tied: bool) -> None:
    config = CONFIGS["llama"]()
    config.tie_word_embeddings = tied
    profile = profile_config("llama", config, settings(task="causal-lm"))
    table = V * H
    assert profile.embedding.parameters == table
    assert profile.head.parameters == H + (0 if tied else table)
    # the gradient of a tied table is made in the head
    assert profile.embedding.trainable_bytes == (0 if tied else FP32 * table)
    assert profile.head.trainable_bytes == FP32 * (table + H)
    assert profile.head.largest_trainable_bytes == FP32 * table


def test_adapters_count_to_their_block() -> None:
    full, lora = (
        profile_config("bert", CONFIGS["bert"](), settings(method=method))
        for method in ("full", "lora")
    )
    pair = RANK * (H + H)
    for whole, adapted in zip(full.block_units, lora.block_units, strict=True):
        assert adapted.parameters == whole.parameters + 2 * pair
        assert adapted.trainable_bytes == FP32 * 2 * pair
        assert adapted.largest_trainable_bytes == FP32 * RANK * H
    assert lora.embedding.trainable_bytes == 0
    assert lora.head.trainable_bytes == FP32 * 5 * (H + 1)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_projection_counts_to_the_last_block(family: str) -> None:
    """W [H, H]: one product forward, and two backward, by W and by the block's output."""
    plain = profile_config(family, CONFIGS[family](), settings(method="lora"))
    with_one = profile_config(
        family, CONFIGS[family](), settings(method="lora", lora_targets=("projection",))
    )
    *others, last, head = zip(plain.units, with_one.units, strict=True)
    assert all(before == after for before, after in [*others, head])
    before, after = last
    product = 2 * B * T * H * H
    assert after.parameters - before.parameters == H * H
    assert after.trainable_bytes - before.trainable_bytes == FP32 * H * H
    assert after.forward_flops - before.forward_flops == product
    assert after.backward_flops - before.backward_flops == 2 * product
    more = after.saved_bytes - before.saved_bytes
    assert more in (0, FP32 * B * T * H)  # kept for W; a norm at the end keeps it anyhow


def test_bfloat16_halves_the_boundary() -> None:
    wide, narrow = (
        profile_config("llama", CONFIGS["llama"](), settings(dtype=dtype))
        for dtype in ("float32", "bfloat16")
    )
    assert [unit.boundary_bytes for unit in wide.units] == [B * T * H * 4] * 7 + [0]
    assert [unit.boundary_bytes for unit in narrow.units] == [B * T * H * 2] * 7 + [0]


def test_alternating_blocks_have_the_figures_of_their_kind() -> None:
    config = ModernBertConfig(
        num_hidden_layers=7, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=3, **BERT
    )
    profile = profile_config("modernbert", config, settings(length=64))
    names = ("saved_bytes", "forward_transient_bytes", "parameters")
    figures = [tuple(getattr(unit, name) for name in names) for unit in profile.block_units]
    assert figures[1] == figures[2] == figures[4] == figures[5]
    assert figures[3] == figures[6]
    whole = whole_run(config, settings(length=64))
    assert composed_peak_bytes(profile) == pytest.approx(whole.peak_bytes, rel=1e-3)


def test_images() -> None:
    config = ViTConfig(num_hidden_layers=3, image_size=32, patch_size=8, **BERT)
    profile = profile_config("vit", config, settings())
    patches, patch = 16, 3 * 8 * 8
    assert profile.embedding.forward_flops == 2 * B * patches * patch * H
    assert profile.embedding.boundary_bytes == FP32 * B * (1 + patches) * H
    whole = whole_run(config, settings())
    assert composed_peak_bytes(profile) == pytest.approx(whole.peak_bytes, rel=1e-3)


def test_experts_count_where_tokens_go() -> None:
    config = MixtralConfig(
        num_hidden_layers=2,
        num_key_value_heads=2,
        num_local_experts=6,
        num_experts_per_tok=2,
        **BERT,
    )
    profile = profile_config("mixtral", config, settings(dtype="bfloat16"))
    attention = 2 * T * (2 * H * H + 2 * H * KV) + 4 * T * T * H
    experts = 2 * T * H * 6 + 2 * (2 * T * 3 * H * INNER)
    assert profile.block_units[1].forward_flops == B * (attention + experts)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("gpt2", 124_439_808), ("llama-3-8b", 8_030_261_248), ("llama-3-70b", 70_553_706_496)],
)
def test_published_sizes(name: str, parameters: int) -> None:
    """Far larger than this machine's memory: nothing of that size is allocated."""
    profile = profile_model(name, settings(task="causal-lm"))
    assert sum(unit.parameters for unit in profile.units) == parameters
    assert profile.model == name
    assert len(profile.config_hash) == 64
    assert profile.hidden_size == load_config(name).hidden_size


@pytest.mark.parametrize(
    ("config", "fields", "error", "words"),
    [
        (T5Config(num_layers=2), {}, UnsupportedModelError, "encoder-decoder"),
        (SwinConfig(), {}, UnsupportedModelError, "pyramid"),
        (BertConfig(), {"length": 513}, FieldError, "at most 512 tokens, found 513"),
        (ViTConfig(), {"task": "causal-lm"}, UnsupportedModelError, "reads images"),
        (ViTConfig(), {"task": "token-classification"}, UnsupportedModelError, "no words to label"),
        (BertConfig(), {"task": "image-classification"}, UnsupportedModelError, "reads text"),
        (BertConfig(), {"task": "causal-lm"}, UnsupportedModelError, "is an encoder"),
        (
            GPTBigCodeConfig(),
            {"method": "lora", "lora_targets": ("q",)},
            UnsupportedModelError,
            "no layer is named q",
        ),
    ],
)
def test_what_cannot_be_profiled(
    config: Any, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        profile_config("model", config, settings(**fields))
