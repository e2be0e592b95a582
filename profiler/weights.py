"""Which unit a weight counts to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class UnitWeights:
    """The parameters and buffers of one unit."""

    held: list[Tensor] = field(default_factory=list)
    trained: list[Tensor] = field(default_factory=list)
    """Those whose gradient the unit is the first to make, in the backward pass."""
    tied: list[Tensor] = field(default_factory=list)
    """Those that the unit uses and another holds."""

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.held if isinstance(tensor, nn.Parameter))

    @property
    def held_bytes(self) -> int:
        return sum(map(_bytes, self.held))

    @property
    def tied_bytes(self) -> int:
        return sum(map(_bytes, self.tied))

    @property
    def trained_bytes(self) -> int:
        return sum(map(_bytes, self.trained))

    @property
    def largest_trained_bytes(self) -> int:
        return max(map(_bytes, self.trained), default=0)


def weights_by_unit(
    model: nn.Module, blocks: nn.ModuleList, users: Mapping[int, Sequence[int]]
) -> list[UnitWeights]:
    """Every parameter and buffer of `model`, once.

    `users` tells which units use a weight outside the blocks. Where several do (a vocabulary table
    that is also the head's weight), the first holds it, and the last, where the backward pass
    begins, makes its gradient. A weight that none uses counts to the embedding.
    """
    units = [UnitWeights() for _ in range(len(blocks) + 2)]
    block_of = {
        id(tensor): [index + 1] for index, block in enumerate(blocks) for tensor in _weights(block)
    }
    for tensor in {id(tensor): tensor for tensor in _weights(model)}.values():
        using = block_of.get(id(tensor)) or users.get(id(tensor), [0])
        units[using[0]].held.append(tensor)
        for other in {*using} - {using[0]}:
            units[other].tied.append(tensor)
        if tensor.requires_grad:
            units[using[-1]].trained.append(tensor)
    return units


def _weights(module: nn.Module) -> Iterable[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
