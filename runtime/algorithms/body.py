"""The weights of a model's parts, of which every owner has its own: adapters, or whole blocks.

A part is a block's index, or OUTSIDE for what is in the backbone but in no block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import nn

from ...catalog.models.blocks import block_stack
from ...catalog.models.heads import TaskModel
from ...catalog.models.lora import LoraLinear, activate, lora_linears, new_adapter

OUTSIDE = -1


class Weights(Protocol):
    """One owner's weights of one part."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


class Body(Protocol):
    """How a model's parts are taken from owners."""

    parts: tuple[int, ...]
    """Those with something that trains."""

    def fresh(self, part: int) -> Weights:
        """As the pre-trained model has them, alike for every owner."""
        ...

    def install(self, part: int, weights: Sequence[Weights]) -> None:
        """Let the part compute with the sum of `weights`; none: as pre-trained."""
        ...


class LoraBody:
    """Adapters on the frozen linear layers of each block."""

    def __init__(self, model: TaskModel, rank: int, seed: int) -> None:
        self.rank, self.seed = rank, seed
        _, blocks = block_stack(model.backbone)
        self.linears: dict[int, dict[str, LoraLinear]] = {
            index: lora_linears(blocks, range(index, index + 1)) for index in range(len(blocks))
        }
        self.parts = tuple(index for index, linears in self.linears.items() if linears)

    def fresh(self, part: int) -> Weights:
        return new_adapter(self.linears[part], self.rank).seed(self.seed)

    def install(self, part: int, weights: Sequence[Weights]) -> None:
        activate(self.linears[part], *weights)  # type: ignore[arg-type]


class Copied:
    """An owner's copy of a part's parameters, in the order of the part's slots."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self.tensors = [nn.Parameter(tensor.detach().clone()) for tensor in tensors]

    def parameters(self) -> Iterator[nn.Parameter]:
        return iter(self.tensors)


class FullBody:
    """Every weight of the backbone that trains (none where the head trains alone)."""

    def __init__(self, model: TaskModel) -> None:
        _, blocks = block_stack(model.backbone)
        self.slots: dict[int, list[tuple[nn.Module, str]]] = {}
        part_of = {
            id(module): index for index, block in enumerate(blocks) for module in block.modules()
        }
        for module in model.backbone.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad:
                    part = part_of.get(id(module), OUTSIDE)
                    self.slots.setdefault(part, []).append((module, name))
        self.trained = {
            part: [module._parameters[name] for module, name in slots]
            for part, slots in self.slots.items()
        }
        self.parts = tuple(sorted(self.slots))

    def fresh(self, part: int) -> Weights:
        return Copied([tensor for tensor in self.trained[part] if tensor is not None])

    def install(self, part: int, weights: Sequence[Weights]) -> None:
        (own,) = weights or (None,)
        tensors = list(own.parameters()) if own is not None else self.trained[part]
        for (module, name), tensor in zip(self.slots[part], tensors, strict=True):
            module._parameters[name] = tensor


def penalty(weights: Weights) -> torch.Tensor:
    """Σ ‖s B A‖² over the adapters of a part, how far they are from the trunk."""
    pairs = weights.pairs.values()  # type: ignore[attr-defined]
    return torch.stack([pair.squared_norm() for pair in pairs]).sum()
