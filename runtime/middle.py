"""The server's side of a split: blocks [depth, L) of one frozen backbone.

What a block is called with beside the hidden state (mask, rotary embeddings, ...) is recorded
from a dry run of the model's own forward on zeros, with every block replaced by a recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from ..catalog.models.blocks import block_stack

BlockCall = tuple[tuple[Any, ...], dict[str, Any]]


class _Zeros(nn.Module):
    """Stands for the vocabulary table, which a server never needs."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.width, self.dtype = embedding.embedding_dim, embedding.weight.dtype

    def forward(self, ids: Tensor) -> Tensor:
        return torch.zeros(*ids.shape, self.width, dtype=self.dtype, device=ids.device)


class _DryRunError(Exception):
    """Ends the dry run at the last block: all is recorded."""


class Middle:
    """Runs any range of blocks of `backbone`, which it makes its own: the vocabulary goes."""

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone
        _, self.blocks = block_stack(backbone)
        self.outputs: int | None = None
        """How many values a block returns as a tuple; 0 where it returns a tensor alone, None while
        that is unknown."""
        embedding = backbone.get_input_embeddings()
        if isinstance(embedding, nn.Embedding):
            backbone.set_input_embeddings(_Zeros(embedding))

    @torch.no_grad()
    def recipe(
        self, masks: Mapping[str, Tensor], shapes: Mapping[str, list[int]]
    ) -> list[BlockCall]:
        """How the model's own forward calls each block for inputs of these masks and shapes."""
        calls: list[BlockCall] = []
        inputs = self.inputs(masks, shapes)

        def record(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            if len(calls) == len(self.blocks):
                raise _DryRunError
            if self.outputs is None:
                block = self.blocks[0]
                output = type(block).forward(block, h_BTH, *args, **kwargs)
                self.outputs = len(output) if isinstance(output, tuple) else 0
            return self._shaped(h_BTH)

        with self._blocks_replaced(record), suppress(_DryRunError):
            self.backbone(**inputs)
        return calls

    def inputs(
        self, masks: Mapping[str, Tensor], shapes: Mapping[str, list[int]]
    ) -> dict[str, Tensor]:
        """Model inputs as far as a server knows them: masks, and zeros for what stays on the
        device."""
        zeros = {name: self._zeros(name, shape) for name, shape in shapes.items()}
        return zeros | {name: mask.long() for name, mask in masks.items()}

    def _zeros(self, name: str, shape: list[int]) -> Tensor:
        dtype = self.backbone.dtype if name == "pixel_values" else torch.long
        return torch.zeros(shape, dtype=dtype)

    def on_top_of(
        self,
        h_BTH: Tensor,
        masks: Mapping[str, Tensor],
        shapes: Mapping[str, list[int]],
        compute: Callable[[Mapping[str, Tensor]], Tensor],
    ) -> Tensor:
        """What `compute`, the forward pass of a model around the backbone, makes of inputs of these
        masks and shapes where `h_BTH` is the last block's output. Call it after `recipe`."""
        with self._blocks_replaced(lambda *_, **__: self._shaped(h_BTH)):
            return compute(self.inputs(masks, shapes))

    def _shaped(self, h_BTH: Tensor) -> Any:
        """As the blocks of this architecture return it."""
        return (h_BTH, *[None] * (self.outputs - 1)) if self.outputs else h_BTH

    @contextmanager
    def _blocks_replaced(self, forward: Any) -> Iterator[None]:
        for block in self.blocks:
            block.forward = forward
        try:
            yield
        finally:
            for block in self.blocks:
                del block.forward

    def run(self, h_BTH: Tensor, span: range, calls: list[BlockCall]) -> Tensor:
        """Blocks `span`, one after the other."""
        for index in span:
            args, kwargs = calls[index]
            output = self.blocks[index](h_BTH, *args, **kwargs)
            h_BTH = output[0] if isinstance(output, tuple) else output
        return h_BTH
