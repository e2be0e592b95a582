"""Short versions of a model's configuration: a few of its blocks, one of each kind."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FIRST_DENSE = "first_k_dense_replace"
"""Mixtures of experts: this many blocks at the bottom are dense (deepseek and its kin)."""


def block_kinds(config: PretrainedConfig) -> list[tuple[Any, ...]]:
    """What tells the blocks apart in the configuration, block by block: blocks of equal kind have
    equal shapes and do equal work (attention window, mixture or dense, ...).

    Raises UnsupportedModelError for a model of several stacks or widths.
    """
    for name in ("num_hidden_layers", "hidden_size"):
        if not isinstance(getattr(config, name, None), int):
            raise UnsupportedModelError(
                f"the configuration of {config.model_type} has no single {name}",
                "choose a model with one stack of equal blocks, such as bert, llama, gpt2 or vit",
            )
    lists = _per_block_lists(config).values()
    dense = getattr(config, FIRST_DENSE, None) or 0
    return [
        (*(values[index] for values in lists), index < dense)
        for index in range(config.num_hidden_layers)
    ]


def blocks_to_measure(kinds: Sequence[object]) -> list[int]:
    """Block 0, which may differ (nothing below it may train), and the first later block of each
    kind."""
    later = {kind: index for index, kind in reversed(list(enumerate(kinds))) if index > 0}
    return [0, *sorted(later.values())]


def with_blocks(config: PretrainedConfig, indices: Sequence[int]) -> PretrainedConfig:
    """A copy of `config` whose blocks are those of `indices`, in that order."""
    short = copy.deepcopy(config)
    for name, values in _per_block_lists(config).items():
        setattr(short, name, [values[index] for index in indices])
    if getattr(config, FIRST_DENSE, None):
        dense = getattr(config, FIRST_DENSE)
        setattr(short, FIRST_DENSE, sum(index < dense for index in indices))
    short.num_hidden_layers = len(indices)
    return short


def _per_block_lists(config: PretrainedConfig) -> dict[str, list[Any]]:
    """Attributes with an entry per block, such as layer_types."""
    return {
        name: value
        for name, value in vars(config).items()
        if "layer" in name and isinstance(value, list) and len(value) == config.num_hidden_layers
    }
