"""Every model of the catalogue, and every family, kind by kind: sizes, FLOPs, memory, refusals."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import transformers
from flexp.catalog.models.entry import find_model, load_config, model_names
from flexp.errors import FieldError, UnsupportedModelError
from flexp.profiler.config_slice import block_kinds, blocks_to_measure
from flexp.profiler.measure import profile_config, profile_model
from flexp.profiler.profile import Profile, ProfileSettings
from transformers import AutoConfig, PretrainedConfig

from .test_measure import composed_peak_bytes, whole_run

ENCODERS = {
    # published sizes with a pooler or a head of under 1%, which flexp does not build
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "clip-vit-b-32": 87_456_000,
    "clip-vit-l-14": 303_179_776,
    "deberta-v3-base": 183_831_552,
    "deberta-v3-large": 434_012_160,
    "deberta-v3-small": 141_304_320,
    "deit-base": 85_800_192,
    "deit-small": 21_666_432,
    "deit-tiny": 5_524_800,
    "dinov2-base": 86_580_480,
    "dinov2-large": 304_368_640,
    "dinov2-small": 22_056_576,
    "distilbert-base": 66_362_880,
    "electra-base": 108_891_648,
    "electra-large": 334_092_288,
    "electra-small": 13_548_800,
    "minilm-l6": 22_713_216,
    "modernbert-base": 149_014_272,
    "modernbert-large": 394_781_696,
    "roberta-base": 124_645_632,
    "roberta-large": 355_359_744,
    "vit-base": 86_389_248,
    "vit-large": 304_351_232,
}
DECODERS = {
    "bloom-1b1": 1_065_314_304,
    "bloom-1b7": 1_722_408_960,
    "bloom-3b": 3_002_557_440,
    "bloom-560m": 559_214_592,
    "bloom-7b1": 7_069_016_064,
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "falcon-rw-1b": 1_311_625_216,
    "gemma-2-27b": 27_227_128_320,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b": 999_885_952,
    "gemma-3-270m": 268_098_176,
    "gpt-neo-1.3b": 1_315_575_808,
    "gpt-neo-125m": 125_198_592,
    "gpt-neox-20b": 20_554_567_680,
    "gpt2": 124_439_808,
    "gpt2-large": 774_030_080,
    "gpt2-medium": 354_823_168,
    "gpt2-xl": 1_557_611_200,
    "llama-3-70b": 70_553_706_496,
    "llama-3-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "opt-1.3b": 1_315_758_080,
    "opt-125m": 125_239_296,
    "opt-13b": 12_853_473_280,
    "opt-2.7b": 2_651_596_800,
    "opt-30b": 29_974_540_288,
    "opt-350m": 331_196_416,
    "opt-6.7b": 6_658_473_984,
    "phi-3-medium": 13_960_238_080,
    "phi-3-mini": 3_821_079_552,
    "pythia-1.4b": 1_414_647_808,
    "pythia-12b": 11_846_072_320,
    "pythia-160m": 162_322_944,
    "pythia-1b": 1_011_781_632,
    "pythia-2.8b": 2_775_208_960,
    "pythia-410m": 405_334_016,
    "pythia-6.9b": 6_857_302_016,
    "pythia-70m": 70_426_624,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-72b": 72_706_203_648,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-14b": 14_768_307_200,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-32b": 32_762_123_264,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "smollm2-1.7b": 1_711_376_384,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
}

LAYERS = {
    # one entry of each family and shape, and enough blocks to see each kind after block 0
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
    "modernbert-base": 5,
    "opt-125m": 3,
    "opt-350m": 3,
    "phi-3-medium": 3,
    "phi-3-mini": 3,
    "pythia-70m": 3,
    "qwen2.5-0.5b": 3,
    "qwen3-0.6b": 3,
    "qwen3-30b-a3b": 3,
    "roberta-base": 3,
    "vit-base": 3,
}
ALTERNATING = {
    "gemma-2-2b": "sfsf",
    "gemma-3-270m": "sssssfs",
    "gpt-neo-125m": "glgl",
    "modernbert-base": "fssfs",
}
FAST = {"bloom-560m", "deberta-v3-small", "falcon-rw-1b", "gemma-3-270m", "modernbert-base"}
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def settings(**fields: Any) -> ProfileSettings:
    return ProfileSettings(**{"batch": 2, "length": 16, "method": "full", "labels": 5, **fields})


def tasked(name: str, **fields: Any) -> ProfileSettings:
    return settings(task="causal-lm" if name in DECODERS else "classification", **fields)


def cut(name: str, layers: int, **changes: Any) -> PretrainedConfig:
    """The entry with fewer blocks, made anew from its keys: a check of `with_blocks`."""
    entry = find_model(name)
    assert entry is not None
    keys = copy.deepcopy(entry.architecture) | changes
    keys[next(key for key in LAYER_KEYS if key in keys)] = layers
    if "attention_types" in keys:
        keys["attention_types"][0][1] = layers // 2
    return AutoConfig.for_model(**keys)


def some_slow(names: Any, fast: Any) -> list[Any]:
    return [
        name if name in fast else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(names)
    ]


def parameters(profile: Profile) -> int:
    return sum(unit.parameters for unit in profile.units)


def test_every_entry_has_a_published_size() -> None:
    assert sorted({**ENCODERS, **DECODERS}) == model_names()


@pytest.mark.parametrize("name", some_slow(DECODERS, {"gpt2", "mixtral-8x7b"}))
def test_decoders_have_their_published_size(name: str) -> None:
    assert parameters(profile_model(name, tasked(name))) == DECODERS[name]


@pytest.mark.parametrize("name", some_slow(ENCODERS, {"electra-small", "modernbert-large"}))
def test_encoders_have_their_published_size(name: str) -> None:
    profile = profile_model(name, tasked(name))
    head = 5 * (profile.hidden_size + 1)
    assert parameters(profile) - head == pytest.approx(ENCODERS[name], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_entry_has_default_lora_targets(name: str) -> None:
    profile = profile_model(name, tasked(name, method="lora"))
    assert all(unit.trainable_bytes for unit in profile.block_units)
    assert profile.embedding.trainable_bytes == 0


@pytest.mark.parametrize("method", ["full", pytest.param("lora", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", some_slow(LAYERS, FAST))
def test_blocks_of_each_kind_compose_to_the_whole_model(name: str, method: str) -> None:
    config, wanted = cut(name, LAYERS[name]), tasked(name, method=method)
    profile = profile_config(name, config, wanted)
    whole = whole_run(config, wanted)
    assert parameters(profile) == whole.parameters
    assert sum(unit.forward_flops + unit.backward_flops for unit in profile.units) == whole.flops
    output_bytes = profile.block_units[-1].boundary_bytes
    assert 0 <= composed_peak_bytes(profile) - whole.peak_bytes <= output_bytes


@pytest.mark.parametrize(("name", "pattern"), ALTERNATING.items())
def test_alternating_blocks(name: str, pattern: str) -> None:
    kinds = block_kinds(cut(name, len(pattern)))
    assert len(set(kinds)) == 2
    for i, letter in enumerate(pattern):
        assert [kinds[i] == kind for kind in kinds] == [letter == other for other in pattern]
    assert len(blocks_to_measure(kinds)) == 3


@pytest.mark.parametrize(
    ("rule", "dense"),
    [
        ({}, []),
        ({"mlp_only_layers": [1, 3]}, [1, 3]),
        ({"decoder_sparse_step": 2}, [0, 2, 4]),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [3]}, [0, 2, 3, 4]),
    ],
)
def test_dense_blocks_among_mixtures(rule: dict[str, Any], dense: list[int]) -> None:
    config = cut("qwen3-30b-a3b", 5, **rule)
    profile = profile_config("qwen3_moe", config, settings())
    attention = 2 * 2048 * 32 * 128 + 2 * 2048 * 4 * 128 + 2 * 2048 + 2 * 128
    expected = [
        attention + (3 * 2048 * 6144 if index in dense else 128 * 2048 * (3 * 768 + 1))
        for index in range(5)
    ]
    assert [unit.parameters for unit in profile.block_units] == expected


@pytest.mark.parametrize(("method", "dtype"), [("full", "float32"), ("lora", "bfloat16")])
def test_two_of_eight_experts_count_and_all_are_held(dtype: str, method: str) -> None:
    tokens, length, hidden, inner, kv, experts = 2 * 16, 16, 64, 160, 32, 8
    config = transformers.MixtralConfig(
        hidden_size=hidden,
        intermediate_size=inner,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=experts,
        num_experts_per_tok=2,
        num_hidden_layers=3,
        vocab_size=100,
    )
    block = profile_config("mixtral", config, settings(dtype=dtype, method=method)).block_units[1]
    expert = 3 * hidden * inner
    linear = 2 * hidden * hidden + 2 * hidden * kv + hidden * experts + 2 * expert
    attention = 4 * tokens * length * hidden
    adapters = 8 * (2 * hidden + hidden + kv) if method == "lora" else 0
    assert block.forward_flops == 2 * tokens * (linear + adapters) + attention
    weight_gradients = linear if method == "full" else adapters
    assert block.backward_flops == (
        2 * tokens * (linear + adapters + weight_gradients) + 5 * attention // 2
    )
    held = 2 * hidden * hidden + 2 * hidden * kv + experts * (expert + hidden) + 2 * hidden
    assert block.parameters == held + adapters
    assert block.parameter_bytes == block.parameters * (4 if dtype == "float32" else 2)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("vit-base", 14 * 14 + 1),
        ("deit-tiny", 14 * 14 + 2),
        ("dinov2-small", 37 * 37 + 1),
        ("clip-vit-b-32", 7 * 7 + 1),
    ],
)
def test_the_size_of_an_image_says_how_many_tokens_cross(name: str, tokens: int) -> None:
    profile = profile_model(name, settings(length=7))
    crossing = [unit.boundary_bytes for unit in profile.units[:-1]]
    assert crossing == [2 * tokens * profile.hidden_size * 4] * (profile.blocks + 1)


@pytest.mark.parametrize(
    ("name", "longest"),
    [("roberta-base", 512), ("bert-base", 512), ("opt-125m", 2048)],
)
def test_the_longest_sample(name: str, longest: int) -> None:
    config = cut(name, 2)
    assert profile_config(name, config, settings(batch=1, length=longest)).blocks == 2
    with pytest.raises(FieldError, match=f"at most {longest} tokens, found {longest + 1}"):
        profile_config(name, config, settings(batch=1, length=longest + 1))


def test_alibi_takes_any_length() -> None:
    config = cut("bloom-560m", 2)
    assert profile_config("bloom", config, settings(batch=1, length=5000)).blocks == 2


@pytest.mark.parametrize(
    ("name", "task", "trained"),
    [
        ("gpt2", "causal-lm", 50257 * 768),  # tied to the embedding
        ("pythia-70m", "causal-lm", 50304 * 512),
        ("vit-base", "classification", 5 * (768 + 1)),
    ],
)
def test_method_head_trains_the_head_alone(name: str, task: str, trained: int) -> None:
    profile = profile_config(name, cut(name, 3), settings(method="head", task=task))
    assert profile.head.trainable_bytes == 4 * trained
    assert sum(unit.trainable_bytes for unit in profile.units) == 4 * trained
    tied = (name, task) == ("gpt2", "causal-lm")
    assert all(bool(unit.backward_flops) == tied for unit in profile.block_units)


REFUSED: list[tuple[PretrainedConfig, str]] = [
    (transformers.T5Config(), "t5 is an encoder-decoder"),
    (transformers.BartConfig(), "bart is an encoder-decoder"),
    (transformers.WhisperConfig(), "whisper is an encoder-decoder"),
    (transformers.MambaConfig(), "mamba is a state-space"),
    (transformers.Mamba2Config(), "mamba2 is a state-space"),
    (transformers.JambaConfig(), "jamba is a state-space"),
    (transformers.RwkvConfig(), "rwkv is a state-space"),
    (transformers.MiniMaxConfig(), "minimax is a state-space"),
    (transformers.SwinConfig(), r"swin is a pyramid: its stages \(depths \[2, 2, 6, 2\]\)"),
    (transformers.ConvNextConfig(), "convnext is a pyramid"),
    (transformers.ResNetConfig(), "resnet is a pyramid"),
    (transformers.SegformerConfig(), "segformer is a pyramid"),
    (transformers.CLIPConfig(), r"clip is made of several models \(text_config, vision_config\)"),
    (transformers.LlavaConfig(), "llava is made of several models"),
    (transformers.Gemma3Config(), "gemma3 is made of several models"),
    (transformers.AlbertConfig(), "albert has no stack"),
    (transformers.LevitConfig(), "levit is a pyramid"),
    (transformers.MobileViTConfig(), "the configuration of mobilevit has no single num_hidden"),
]


@pytest.mark.parametrize(
    ("config", "words"), REFUSED, ids=[config.model_type for config, _ in REFUSED]
)
def test_models_without_one_stack_are_refused_by_name(config: Any, words: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"^{words}") as caught:
        profile_config("model", config, settings())
    assert "choose" in caught.value.hint


@pytest.mark.parametrize("name", ["vit-base", "dinov2-small", "clip-vit-b-32", "deit-tiny"])
def test_images_have_no_words_to_predict(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="reads images"):
        profile_config(name, cut(name, 2), settings(task="causal-lm"))


@pytest.mark.parametrize("name", ["vit-base", "dinov2-small", "clip-vit-b-32", "deit-tiny"])
def test_a_class_for_each_image_costs_what_a_class_for_each_sample_does(name: str) -> None:
    config = cut(name, 2)
    tasks = ("classification", "image-classification")
    one, other = (profile_config(name, config, settings(task=task)) for task in tasks)
    assert one.units == other.units


@pytest.mark.parametrize("name", ["electra-small", "modernbert-base", "deberta-v3-small"])
def test_encoders_predict_no_next_word(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="is an encoder"):
        profile_config(name, cut(name, 2), settings(task="causal-lm"))


@pytest.mark.parametrize("name", ["gpt2", "gemma-3-270m"])
def test_transformers_has_nothing_to_say(name: str) -> None:
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    transformers.utils.logging.warning_once.cache_clear()
    try:
        profile_config(name, load_config(name), settings(task="causal-lm"))
    finally:
        logger.removeHandler(handler)
    assert said == []
