"""One small random model of every family of the catalogue, and batches for each task."""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers
from flexp.catalog.models.build import bare_model
from flexp.catalog.models.heads import UNLABELLED, TaskModel
from flexp.profiler.profile import ProfileSettings
from torch import Tensor, nn

VOCABULARY, HIDDEN, BLOCKS, LABELS = 71, 32, 5, 3
SAMPLES, TOKENS = 3, 12

_TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
_GROUPED = _TEXT | {"num_key_value_heads": 2}
_IMAGES: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 16,
    "patch_size": 4,
}
_BLOOM: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "pad_token_id": 0}
_OPT: dict[str, Any] = {
    **_BLOOM,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 40,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_FALCON: dict[str, Any] = {**_BLOOM, "num_hidden_layers": BLOCKS, "num_attention_heads": 4}

ENCODERS: dict[str, transformers.PretrainedConfig] = {
    "bert": transformers.BertConfig(**_TEXT),
    "roberta": transformers.RobertaConfig(**_TEXT | {"pad_token_id": 1}),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=HIDDEN,
        n_layers=BLOCKS,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=40,
    ),
    "electra": transformers.ElectraConfig(**_TEXT, embedding_size=16),
    "modernbert": transformers.ModernBertConfig(
        **_TEXT, local_attention=8, global_attn_every_n_layers=3
    ),
    "deberta-v2": transformers.DebertaV2Config(
        **_TEXT,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        conv_kernel_size=3,
    ),
}
DECODERS: dict[str, transformers.PretrainedConfig] = {
    "gpt2": transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=HIDDEN, n_layer=BLOCKS, n_head=4, n_positions=40
    ),
    "llama": transformers.LlamaConfig(**_GROUPED),
    "qwen2": transformers.Qwen2Config(
        **_GROUPED, use_sliding_window=True, sliding_window=4, max_window_layers=2
    ),
    "qwen3": transformers.Qwen3Config(**_GROUPED, head_dim=8),
    "qwen3-moe": transformers.Qwen3MoeConfig(
        **_GROUPED, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16
    ),
    "gemma2": transformers.Gemma2Config(**_GROUPED, head_dim=8, sliding_window=4),
    "gemma3": transformers.Gemma3TextConfig(
        **_GROUPED,
        head_dim=8,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"] * 2 + ["sliding_attention"],
    ),
    "mistral": transformers.MistralConfig(**_GROUPED, sliding_window=4),
    "mixtral": transformers.MixtralConfig(**_GROUPED, num_local_experts=4),
    "phi3": transformers.Phi3Config(**_GROUPED),
    "opt": transformers.OPTConfig(**_OPT),
    "opt-projected": transformers.OPTConfig(
        **_OPT, word_embed_proj_dim=16, do_layer_norm_before=False
    ),
    "bloom": transformers.BloomConfig(**_BLOOM, n_layer=BLOCKS, n_head=4),
    "gpt-neo": transformers.GPTNeoConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_layers=BLOCKS,
        num_heads=4,
        attention_types=[[["global", "local"], 2], [["global"], 1]],
        window_size=4,
        max_position_embeddings=40,
    ),
    "gpt-neox": transformers.GPTNeoXConfig(**_TEXT),
    "falcon-7b": transformers.FalconConfig(**_FALCON, multi_query=True, parallel_attn=True),
    "falcon-40b": transformers.FalconConfig(
        **_FALCON, num_kv_heads=2, new_decoder_architecture=True
    ),
    "falcon-rw": transformers.FalconConfig(
        **_FALCON, alibi=True, multi_query=False, parallel_attn=False
    ),
}
VISION: dict[str, transformers.PretrainedConfig] = {
    "vit": transformers.ViTConfig(**_IMAGES),
    "deit": transformers.DeiTConfig(**_IMAGES),
    "dinov2": transformers.Dinov2Config(
        **{name: value for name, value in _IMAGES.items() if name != "intermediate_size"},
        mlp_ratio=2,
    ),
    "clip-vision": transformers.CLIPVisionConfig(**_IMAGES),
}
SHARED_TABLES = ("encoder.rel_embeddings", "encoder.LayerNorm")
"""What deberta gives to every block. It is frozen here, as with adapters: where it trains, a split
is refused."""
FAMILIES = {**ENCODERS, **DECODERS, **VISION}


def tasks_of(family: str) -> tuple[str, ...]:
    if family in VISION:
        return ("image-classification",)
    more = ("causal-lm",) if family in DECODERS else ()
    return (*more, "classification", "token-classification")


def whole_model(family: str, task: str, attention: str = "sdpa") -> TaskModel:
    """Every weight is random, norms and biases too, so that every gradient shows, and trains, but
    for SHARED_TABLES."""
    torch.manual_seed(0)
    settings = ProfileSettings(task=task, labels=LABELS, method="full")
    model = bare_model(copy.deepcopy(FAMILIES[family]), settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    if attention == "eager":
        model.root.set_attn_implementation("eager")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(table in name for table in SHARED_TABLES))
    return model


def batch_of(model: TaskModel, task: str, padding: str) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs and labels. Padding is none (and no mask), right or left; images have none."""
    random = torch.Generator().manual_seed(1)
    classes_B = torch.randint(0, LABELS, (SAMPLES,), generator=random)
    if task == "image-classification":
        return {"pixel_values": torch.randn(SAMPLES, 3, 16, 16, generator=random)}, classes_B
    pad = model.backbone.config.pad_token_id or 0
    ids_BT = torch.randint(3, VOCABULARY, (SAMPLES, TOKENS), generator=random)
    mask_BT = torch.ones_like(ids_BT)
    for sample, padded in ((0, 4), (2, 7)):
        if padding == "right":
            mask_BT[sample, TOKENS - padded :] = 0
        elif padding == "left":
            mask_BT[sample, :padded] = 0
    ids_BT = torch.where(mask_BT.bool(), ids_BT, pad)
    inputs = {"input_ids": ids_BT} | ({} if padding == "none" else {"attention_mask": mask_BT})
    if task == "classification":
        return inputs, classes_B
    labels_BT = ids_BT if task == "causal-lm" else ids_BT % LABELS
    return inputs, torch.where(mask_BT.bool(), labels_BT, UNLABELLED)


def gradients(model: nn.Module, whole: nn.Module) -> dict[str, Tensor]:
    """By the name of the weight in `whole`, which may tie what is apart in `model`."""
    name_of = {id(parameter): name for name, parameter in whole.named_parameters()}
    tied = {
        name: name_of[id(parameter)]
        for name, parameter in whole.named_parameters(remove_duplicate=False)
    }
    return {
        tied[name]: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
