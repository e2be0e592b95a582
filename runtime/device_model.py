"""A model as one device holds it: its own blocks only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..catalog.models.blocks import block_stack
from ..catalog.models.build import ModelSettings, bare_model
from ..catalog.models.heads import CausalLM, TaskModel
from ..profiler.placement import Placement
from .split import strip

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def random_device_model(
    config: PretrainedConfig, settings: ModelSettings, placement: Placement
) -> TaskModel:
    """The client's part of a model with random weights; the server's blocks are empty and never
    take memory. Numbers and lists of the configuration stay those of the whole model.

    Raises UnsupportedModelError as `bare_model` does.
    """
    with torch.device("meta"):
        model = bare_model(config, settings)
    _, blocks = block_stack(model.backbone)
    block: Any
    for block in blocks[placement.depth : len(blocks) - placement.top]:
        strip(block)
        block._is_hf_initialized = True
    model.to_empty(device="cpu")
    _initialise(model)
    return model


@torch.no_grad()
def _initialise(model: TaskModel) -> None:
    """The library's own start for every weight and buffer, such as the rotary frequencies."""
    root: Any = model.model if isinstance(model, CausalLM) else model.backbone
    for module in root.modules():
        if list(module.children()) or list(module.parameters()) or list(module.buffers()):
            module._is_hf_initialized = False
    for tensor in (*root.parameters(), *root.buffers()):
        if hasattr(tensor, "_is_hf_initialized"):
            del tensor._is_hf_initialized
    root.initialize_weights()
    root.tie_weights()
    if not isinstance(model, CausalLM):
        nn.init.normal_(model.head.weight, std=model.head.in_features**-0.5)
        nn.init.zeros_(model.head.bias)
