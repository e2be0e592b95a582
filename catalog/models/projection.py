"""A projection: an adapter on what a model's last block returns, h + W h [B, T, H].

Where all clients share it, it is the last thing that the server computes before their heads. A
linear map of features does for heads that stay on devices what averaging would do for heads that
leave them: all clients train it, and none of them shows a label (docs/algorithm.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .blocks import block_stack
from .lora import LoraLinear, Pair

PROJECTION = "projection"
"""Among the LoRA targets, and as the name of the module in the last block."""


class Unchanged(nn.Module):
    """y = x: the frozen layer below a projection."""

    like: Tensor

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("like", like.new_empty(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x


class ProjectionPair(Pair):
    """W [H, H], which starts at zero."""

    scale = 1.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(width, width))

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.W)

    def squared_norm(self) -> Tensor:
        return self.W.square().sum()

    def start(self, generator: torch.Generator) -> None:
        """Nothing is drawn."""

    @staticmethod
    def summed(pairs: Sequence[ProjectionPair]) -> Tensor:
        """I + Σ W: what the hidden state is multiplied by [H, H]."""
        total = torch.stack([pair.W.detach() for pair in pairs]).sum(0)
        return torch.eye(len(total)).to(total) + total


@dataclass(frozen=True)
class ProjectionStack:
    """W [N, H, H]."""

    W: Tensor

    def added(self, y: Tensor, x: Tensor) -> Tensor:
        owners = len(self.W)
        if owners == 1:
            return y + F.linear(x, self.W[0])
        x_NRH, y_NRH = (t.reshape(owners, -1, t.shape[-1]) for t in (x, y))
        return torch.baddbmm(y_NRH, x_NRH, self.W.mT).view(y.shape)


class Projection(LoraLinear):
    """On features of `width`, of the device and type of `like`."""

    stack = ProjectionStack

    def __init__(self, width: int, like: Tensor) -> None:
        super().__init__(Unchanged(like))
        self.width = width

    def features(self) -> tuple[int, int]:
        return self.width, self.width

    def new_pair(self, rank: int) -> Pair:
        """Of the features' rank, whatever that of the other layers is."""
        return ProjectionPair(self.width).to(self.base.like)


def project(block: nn.Module, projection: nn.Module) -> None:
    """Let `block` return its hidden state through `projection`."""
    block.add_module(PROJECTION, projection)
    block_class: Any = type(block)
    block.__class__ = _projected(block_class)


def projected_block(backbone: nn.Module) -> str | None:
    """The path of the block with a projection, if there is one."""
    path, blocks = block_stack(backbone)
    last = len(blocks) - 1
    return f"{path}.{last}" if hasattr(blocks[last], PROJECTION) else None


@cache
def _projected(block_class: Any) -> Any:
    """The same block under a class of its own: that of the library serves other blocks as well, and
    a hook would also run where the block's forward is replaced."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = block_class.forward(self, *args, **kwargs)
        if isinstance(output, tuple):
            return (self.projection(output[0]), *output[1:])
        return self.projection(output)

    return type(block_class.__name__, (block_class,), {"forward": forward})
