"""Short versions of a model's configuration: a few of its blocks, one of each kind."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..catalog.models.blocks import CHOOSE, block_stack, check_one_stack
from ..errors import UnsupportedModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FIRST_DENSE = "first_k_dense_replace"
"""Mixtures of experts: this many blocks at the bottom are dense (deepseek and its kin)."""
DENSE, SPARSE_STEP = "mlp_only_layers", "decoder_sparse_step"
"""Mixtures of experts: the indices of dense blocks; of the others, every so many-th is a mixture
(qwen and its kin)."""


def block_kinds(config: PretrainedConfig) -> list[tuple[Any, ...]]:
    """What tells the blocks apart in the configuration, block by block: blocks of equal kind have
    equal shapes and do equal work (attention window, mixture or dense, ...).

    Raises UnsupportedModelError for a model that is not one stack of one width, or whose blocks
    differ by a rule that is not known here.
    """
    check_one_stack(config)
    for name in ("num_hidden_layers", "hidden_size"):
        if not isinstance(getattr(config, name, None), int):
            raise UnsupportedModelError(
                f"the configuration of {config.model_type} has no single {name}", CHOOSE
            )
    lists = _per_block_lists(config).values()
    kinds = [
        (*(values[index] for values in lists), _is_dense(config, index))
        for index in range(config.num_hidden_layers)
    ]
    _check_shapes(config, kinds)
    return kinds


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
    dense = [place for place, index in enumerate(indices) if _is_dense(config, index)]
    if getattr(config, FIRST_DENSE, None):
        setattr(short, FIRST_DENSE, len(dense))
    if hasattr(config, DENSE):
        setattr(short, DENSE, dense)
        setattr(short, SPARSE_STEP, 1)
    short.num_hidden_layers = len(indices)
    return short


def _per_block_lists(config: PretrainedConfig) -> dict[str, list[Any]]:
    """Attributes with an entry per block, such as layer_types."""
    return {
        name: value
        for name, value in vars(config).items()
        if "layer" in name
        and name != DENSE
        and isinstance(value, list)
        and len(value) == config.num_hidden_layers
    }


def _is_dense(config: PretrainedConfig, index: int) -> bool:
    """Whether a block has no experts, by the rules of mixtures."""
    if index < (getattr(config, FIRST_DENSE, None) or 0):
        return True
    step = getattr(config, SPARSE_STEP, None) or 1
    return index in (getattr(config, DENSE, None) or ()) or (index + 1) % step != 0


def _check_shapes(config: PretrainedConfig, kinds: Sequence[object]) -> None:
    """Raises UnsupportedModelError where two blocks of equal kind, block 0 aside (modernbert's
    lacks a norm), have parameters of unequal shapes. The whole model is made for this, without
    memory."""
    from transformers import AutoModel

    with torch.device("meta"):
        _, blocks = block_stack(AutoModel.from_config(copy.deepcopy(config)))
    if len(blocks) != len(kinds):
        raise UnsupportedModelError(
            f"{config.model_type} has {len(blocks)} blocks where its configuration says "
            f"{len(kinds)}",
            CHOOSE,
        )
    first: dict[object, tuple[int, dict[str, torch.Size]]] = {}
    for index, (kind, block) in list(enumerate(zip(kinds, blocks, strict=True)))[1:]:
        shapes = {name: parameter.shape for name, parameter in block.named_parameters()}
        other, expected = first.setdefault(kind, (index, shapes))
        if shapes != expected:
            raise UnsupportedModelError(
                f"{config.model_type}: block {index} differs from block {other} by a rule of the "
                "configuration that flexp does not know",
                CHOOSE,
            )
