"""Where a transformer can be cut: its one stack of blocks."""

from __future__ import annotations

from torch import nn

from ...errors import UnsupportedModelError


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
    name = type(model).__name__
    if not stacks:
        raise UnsupportedModelError(
            f"{name} has no stack of transformer blocks to split",
            "choose an encoder or decoder model, such as bert, llama, gpt2 or vit",
        )
    if len(stacks) > 1:
        paths = ", ".join(path for path, _ in stacks)
        raise UnsupportedModelError(
            f"{name} has {len(stacks)} block stacks ({paths}); flexp splits models with one",
            "encoder-decoder models are not supported; choose an encoder or a decoder",
        )
    return stacks[0]
