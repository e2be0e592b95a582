"""What happens to the hidden state where a model is cut: it is rounded as on the wire, and kept
for who asks.

The model runs in one piece here; that a split one computes the same is what tests/runtime shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..codecs import CODECS, Codec


class _Rounded(torch.autograd.Function):
    """Through a codec and back, the hidden state on its way and its gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, codec: Codec, h_BTH: Tensor) -> Tensor:
        ctx.codec = codec
        return codec.decode(*codec.encode(h_BTH)).to(h_BTH.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient_BTH,) = gradients
        return None, ctx.codec.decode(*ctx.codec.encode(gradient_BTH)).to(gradient_BTH.dtype)


class _ReachedError(Exception):
    """Ends a forward pass at the block that was asked for."""


class Boundaries:
    """Hooks on all blocks of a model; which of them do something is set before a forward pass."""

    def __init__(self, blocks: nn.ModuleList) -> None:
        self.codec: Codec | None = None
        self.cuts: frozenset[int] = frozenset()
        """Blocks whose output crosses the wire."""
        self.kept_block: int | None = None
        self.kept_BTH: Tensor | None = None
        """The output of `kept_block` in the last forward pass."""
        self._stop = False
        for index, block in enumerate(blocks):
            block.register_forward_hook(self._hook(index))

    def set(self, span: range, codec: str) -> None:
        """A server runs the blocks of `span`."""
        self.codec = CODECS[codec] if codec != "fp32" else None
        self.cuts = frozenset({span.start - 1, span.stop - 1} if span else ())

    def _hook(self, index: int) -> Any:
        def hook(_: nn.Module, args: Any, output: Any) -> Any:
            h_BTH, *beside = output if isinstance(output, tuple) else (output,)
            if index == self.kept_block:
                self.kept_BTH = h_BTH
                if self._stop:
                    raise _ReachedError
            if self.codec is None or index not in self.cuts:
                return None
            rounded = _Rounded.apply(self.codec, h_BTH)
            return (rounded, *beside) if isinstance(output, tuple) else rounded

        return hook

    @torch.no_grad()
    def up_to(self, block: int, root: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
        """The output of `block` [B, T, H], without running those above it."""
        before, self.kept_block, self._stop = self.kept_block, block, True
        try:
            root(**inputs)
        except _ReachedError:
            assert self.kept_BTH is not None
            return self.kept_BTH
        finally:
            self.kept_block, self._stop = before, False
        raise AssertionError(f"the forward pass never reached block {block}")
