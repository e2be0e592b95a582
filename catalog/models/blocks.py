"""Where a transformer can be cut: its one stack of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ...errors import UnsupportedModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

CHOOSE = "choose an encoder (bert, vit) or a decoder (llama, gpt2)"


def check_one_stack(config: PretrainedConfig) -> None:
    """Raises UnsupportedModelError, with the reason, for a model type that is not one stack of
    transformer blocks, as far as its configuration and class tell."""
    from transformers import AutoModel

    name = config.model_type
    parts = [key for key in sorted(config.sub_configs) if getattr(config, key, None) is not None]
    model_class = AutoModel._model_mapping.get(type(config), None)
    stateful = getattr(model_class, "_is_stateful", False)
    if config.is_encoder_decoder:
        raise UnsupportedModelError(
            f"{name} is an encoder-decoder; flexp splits models with one block stack", CHOOSE
        )
    if parts:
        types = ", ".join(getattr(config, part).model_type for part in parts)
        raise UnsupportedModelError(
            f"{name} is made of several models ({', '.join(parts)}); flexp splits models with one "
            "block stack",
            f"choose one of its parts, as a model of its own: {types}",
        )
    if stateful or "linear_attention" in (getattr(config, "layer_types", None) or ()):
        raise UnsupportedModelError(
            f"{name} is a state-space or linear-attention model: its blocks carry a state along "
            "the tokens, which flexp does not price",
            f"choose a model whose blocks are all attention: {CHOOSE.removeprefix('choose ')}",
        )
    if model_class is None:
        raise UnsupportedModelError(f"transformers has no bare model of the type {name!r}", CHOOSE)
    if isinstance(getattr(config, "depths", None), list | tuple):
        raise UnsupportedModelError(
            f"{name} is a pyramid: its stages (depths {list(config.depths)}) differ in width, and "
            "flexp splits models with one block stack",
            "choose an image encoder of one width (vit, deit, dinov2)",
        )


def block_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and the blocks of the model's stack, in forward order.

    A stack is a ModuleList of nothing but transformers' GradientCheckpointingLayer: every encoder
    and decoder family of the library marks its blocks so.

    Raises UnsupportedModelError for a model without a stack, or with more than one (an
    encoder-decoder): the second stack takes inputs that one cut would not carry.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    stacks = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) > 0
        and all(isinstance(block, GradientCheckpointingLayer) for block in module)
    ]
    name = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if not stacks:
        raise UnsupportedModelError(
            f"{name} has no stack of transformer blocks to split",
            CHOOSE,
        )
    if len(stacks) > 1:
        paths = ", ".join(path for path, _ in stacks)
        raise UnsupportedModelError(
            f"{name} has {len(stacks)} block stacks ({paths}); flexp splits models with one",
            CHOOSE,
        )
    return stacks[0]
