"""A model as one machine holds it: its own blocks, and the ends that the plan puts there.

Numbers and lists of the configuration stay those of the whole model, and so do the places of the
blocks; those of another machine are empty and never take memory.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..catalog.models.blocks import block_stack
from ..catalog.models.build import (
    ModelSettings,
    Trim,
    bare_backbone,
    bare_model,
    load_backbone,
    load_model,
)
from ..catalog.models.heads import CausalLM, Headless, TaskModel
from ..profiler.placement import Placement
from .split import strip
from .stand_ins import without_embedding

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Part = TaskModel | Headless


def load_device_model(
    folder: Path, config: PretrainedConfig, settings: ModelSettings, placement: Placement
) -> Part:
    """The client's part of a safetensors checkpoint, sharded or not: nothing else is read.

    Raises UnsupportedModelError as `load_model` does.
    """
    load = load_model if placement.head == "device" else load_backbone
    return load(folder, config, settings, _only_blocks(_kept(config, placement)))


def load_server_model(
    folder: Path,
    config: PretrainedConfig,
    settings: ModelSettings,
    blocks: Collection[int],
    heads: bool = False,
) -> Part:
    """What a server needs of a checkpoint for clients whose other blocks are among `blocks`, and
    whose heads are its own where `heads` says so: no vocabulary, but for a head that is tied to it.
    """
    tied = heads and settings.task == "causal-lm" and config.tie_word_embeddings
    only = _only_blocks(blocks)

    def trim(model: Any) -> None:
        only(model)
        if not tied:
            without_embedding(model.base_model, block_stack(model)[1])

    return (load_model if heads else load_backbone)(folder, config, settings, trim)


def random_device_model(
    config: PretrainedConfig, settings: ModelSettings, placement: Placement
) -> Part:
    """The client's part of a model with random weights. Raises as `load_device_model`."""
    with torch.device("meta"):
        make = bare_model if placement.head == "device" else bare_backbone
        model = make(config, settings)
    _only_blocks(_kept(config, placement))(model)
    model.to_empty(device="cpu")  # which takes tied weights apart
    root: Any = model.root
    root.tie_weights()
    _initialise(model)
    return model


def _kept(config: PretrainedConfig, placement: Placement) -> list[int]:
    """The blocks of a client."""
    blocks = range(config.num_hidden_layers)
    return [*blocks[: placement.depth], *blocks[len(blocks) - placement.top :]]


def _only_blocks(kept: Collection[int]) -> Trim:
    def trim(model: Any) -> None:
        _, blocks = block_stack(model)
        for index, block in enumerate(blocks):
            if index not in kept:
                strip(block)

    return trim


@torch.no_grad()
def _initialise(model: Part) -> None:
    """The library's own start for every weight and buffer, such as the rotary frequencies."""
    root: Any = model.root
    for module in root.modules():
        if list(module.children()) or list(module.parameters()) or list(module.buffers()):
            module._is_hf_initialized = False
    for tensor in (*root.parameters(), *root.buffers()):
        if hasattr(tensor, "_is_hf_initialized"):
            del tensor._is_hf_initialized
    root.initialize_weights()
    if isinstance(model.head, nn.Linear) and not isinstance(model, CausalLM):
        nn.init.normal_(model.head.weight, std=model.head.in_features**-0.5)
        nn.init.zeros_(model.head.bias)
