"""fvcore's count of forward FLOPs beside the profile's, family by family and by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flexp.catalog.models.entry import find_model, load_config, model_names
from flexp.errors import UnsupportedModelError
from flexp.profiler import verify
from flexp.profiler.measure import profile_config, profile_model
from flexp.profiler.profile import FLOPS_TOLERANCE, FlopsCheck, Profile, ProfileSettings
from flexp.profiler.verify import ENDS, count_forward_flops, verify_flops, verify_model
from transformers import AutoConfig, BertConfig, MixtralConfig, PretrainedConfig, ViTConfig

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

B, T, H, INNER, V = 2, 24, 64, 160, 500
SMALL = {
    "n_embd": H,
    "d_model": H,
    "hidden_size": H,
    "dim": H,
    "n_inner": INNER,
    "ffn_dim": INNER,
    "hidden_dim": INNER,
    "intermediate_size": INNER,
    "moe_intermediate_size": INNER,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "num_key_value_heads": 2,
    "num_kv_heads": 2,
    "head_dim": 16,
    "vocab_size": V,
    "word_embed_proj_dim": 32,
    "embedding_size": 32,
    "image_size": 32,
    "patch_size": 8,
    "num_experts": 6,
    "num_local_experts": 6,
    "num_experts_per_tok": 2,
    "sliding_window": 8,
    "window_size": 8,
}
"""Sizes of a narrow model, under the names that the families use."""
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
FAMILIES = {
    # an entry of each family and shape: its blocks, enough to see each kind twice
    "bert-base": 3,
    "bloom-560m": 3,
    "clip-vit-b-32": 3,
    "deberta-v3-small": 3,
    "deit-tiny": 3,
    "dinov2-small": 3,
    "distilbert-base": 3,
    "electra-small": 3,
    "falcon-40b": 3,
    "falcon-7b": 3,
    "falcon-rw-1b": 3,
    "gemma-2-2b": 4,
    "gemma-3-270m": 7,
    "gpt-neo-125m": 4,
    "gpt2": 3,
    "llama-3.2-1b": 3,
    "mistral-7b": 3,
    "mixtral-8x7b": 3,
    "modernbert-base": 7,
    "opt-350m": 3,
    "phi-3-mini": 3,
    "pythia-70m": 3,
    "qwen2.5-0.5b": 3,
    "qwen3-0.6b": 3,
    "qwen3-30b-a3b": 3,
    "roberta-base": 3,
    "vit-base": 3,
}
FAST = {"bert-base", "bloom-560m", "deberta-v3-small", "gemma-2-2b", "gpt2", "llama-3.2-1b"}
FAST |= {"falcon-7b", "mixtral-8x7b", "modernbert-base", "vit-base"}
ENCODERS = {"bert", "clip_vision_model", "deberta-v2", "deit", "dinov2", "distilbert", "electra"}
ENCODERS |= {"modernbert", "roberta", "vit"}


def settings(config: PretrainedConfig, **fields: Any) -> ProfileSettings:
    task = "classification" if config.model_type in ENCODERS else "causal-lm"
    small = {"task": task, "batch": B, "length": T, "method": "full", "labels": 5}
    return ProfileSettings(**{**small, **fields})


def narrow(name: str) -> PretrainedConfig:
    """The entry at a small width."""
    entry = find_model(name)
    assert entry is not None
    keys = copy.deepcopy(entry.architecture)
    keys |= TOKENS | {key: value for key, value in SMALL.items() if key in keys}
    keys[next(key for key in LAYER_KEYS if key in keys)] = FAMILIES[name]
    if "attention_types" in keys:
        keys["attention_types"][0][1] = FAMILIES[name] // 2
    return AutoConfig.for_model(**keys)


def check(config: PretrainedConfig, **fields: Any) -> FlopsCheck:
    return verify_flops(profile_config("small", config, settings(config, **fields)), config)


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def test_every_family_at_a_small_width(name: str) -> None:
    found = check(narrow(name))
    assert found.ratio == pytest.approx(1, abs=FLOPS_TOLERANCE)
    assert found.worst_ratio == pytest.approx(1, abs=FLOPS_TOLERANCE)
    assert found.warning is None


@pytest.mark.parametrize(("name", "method"), [("gpt2", "lora"), ("llama-3.2-1b", "head")])
def test_other_methods_and_the_other_task(name: str, method: str) -> None:
    found = check(narrow(name), method=method, task="classification")
    assert (found.ratio, found.worst_ratio) == (1, 1)


def test_the_count_of_a_bert_by_hand() -> None:
    sizes = {"hidden_size": H, "num_attention_heads": 4, "intermediate_size": INNER}
    config = BertConfig(num_hidden_layers=2, vocab_size=V, **sizes)
    block = 2 * B * T * (4 * H * H + 2 * H * INNER) + 4 * B * T * T * H
    counted = count_forward_flops("bert", config, settings(config))
    assert counted == {"block.0": block, "block.1": block, ENDS: 2 * B * H * 5}


def test_experts_count_where_tokens_go_by_hand() -> None:
    sizes = {"hidden_size": H, "num_attention_heads": 4, "intermediate_size": INNER}
    experts = {"num_local_experts": 6, "num_experts_per_tok": 2, "num_key_value_heads": 2}
    config = MixtralConfig(num_hidden_layers=1, vocab_size=V, **sizes, **experts)
    attention = 2 * T * (2 * H * H + 2 * H * 32) + 4 * T * T * H
    mixture = 2 * T * H * 6 + 2 * (2 * T * 3 * H * INNER)
    counted = count_forward_flops("mixtral", config, settings(config))
    assert counted == {"block.0": B * (attention + mixture), ENDS: 2 * B * T * H * V}


def test_patches_of_an_image_by_hand() -> None:
    sizes = {"hidden_size": H, "num_attention_heads": 4, "intermediate_size": INNER}
    config = ViTConfig(num_hidden_layers=1, image_size=32, patch_size=8, **sizes)
    patches, patch = 16, 3 * 8 * 8
    counted = count_forward_flops("vit", config, settings(config))
    assert counted[ENDS] == 2 * B * patches * patch * H + 2 * B * H * 5


def bert() -> tuple[Profile, PretrainedConfig]:
    config = narrow("bert-base")
    return profile_config("bert", config, settings(config)), config


def with_unit(right: Profile, index: int, factor: float) -> Profile:
    """`right` with a unit's forward FLOPs multiplied."""
    fields = right.model_dump()
    fields["units"][index]["forward_flops"] = round(right.units[index].forward_flops * factor)
    return Profile.model_validate(fields)


@pytest.mark.parametrize(
    ("factor", "warned"), [(0.5, True), (2.0, True), (1.003, True), (1.001, False)]
)
def test_a_wrong_profile_shows(factor: float, warned: bool) -> None:
    right, config = bert()
    wrong = with_unit(right, 2, factor)
    found = verify_flops(wrong, config)
    total = sum(unit.forward_flops for unit in right.units)
    assert found.forward_flops == total
    assert found.ratio == sum(unit.forward_flops for unit in wrong.units) / total
    assert (found.worst_part, round(found.worst_ratio, 4)) == ("block.1", factor)
    assert (found.warning is not None) == warned


def test_a_warning_names_the_part() -> None:
    right, config = bert()
    wrong = with_unit(right, -1, 2.0)
    assert verify_flops(wrong, config).warning == (
        "1 part(s) of the model differ from fvcore's count by more than 0.2%, "
        "embedding and head the most: 2.0000 of it"
    )


def test_a_model_that_cannot_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise RuntimeError("no shape\nand much more")

    profile, config = bert()
    monkeypatch.setattr(verify, "_products", lambda: {"aten::linear": broken})
    with pytest.raises(UnsupportedModelError, match=r"fvcore can't trace bert: no shape$"):
        verify_flops(profile, config)


def test_a_part_that_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    profile, config = bert()
    monkeypatch.setattr(verify, "_products", dict)
    with pytest.raises(UnsupportedModelError, match=r"no products in block.0, block.1, block.2"):
        verify_flops(profile, config)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    check(narrow("gpt2"))
    check(narrow("vit-base"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_entry(name: str) -> None:
    found = verify_model(profile_model(name, settings(load_config(name))))
    assert (found.ratio, found.worst_ratio, found.warning) == (1, 1, None)
