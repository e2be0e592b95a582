"""The server's side of a split: a range of blocks of one frozen backbone.

What a block is called with beside the hidden state (mask, rotary embeddings, ...) is recorded
from a dry run of the model's own forward on zeros, with every block replaced by a recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ..catalog.models.blocks import block_stack
from .recipes import BlockCall, Recipes, recipe_key
from .stand_ins import without_embedding


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
        self.held = frozenset(
            index for index, block in enumerate(self.blocks) if any(True for _ in block.children())
        )
        """The blocks that are here: others belong to machines that loaded them."""
        self.recipes = Recipes()
        self._lock = RLock()
        """Held while blocks run or are replaced."""
        without_embedding(backbone, self.blocks)

    def recipe(
        self, masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]
    ) -> list[BlockCall]:
        """How the model's own forward calls each block for inputs of these masks and shapes."""
        how = (self.backbone.dtype, self.backbone.config._attn_implementation)
        key = recipe_key(masks, shapes, *how)
        with self._lock:
            calls = self.recipes.get(key)
            if calls is None:
                calls = self._dry_run(self.inputs(masks, shapes))
                self.recipes.put(key, calls)
        return calls

    @torch.no_grad()
    def _dry_run(self, inputs: Mapping[str, Tensor]) -> list[BlockCall]:
        calls: list[BlockCall] = []

        def record(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            if len(calls) == len(self.blocks):
                raise _DryRunError
            if self.outputs is None:
                output = self._some_block(h_BTH, *args, **kwargs)
                self.outputs = len(output) if isinstance(output, tuple) else 0
            return self._shaped(h_BTH)

        with self._blocks_replaced(record), suppress(_DryRunError):
            self.backbone(**inputs)
        return calls

    def _some_block(self, *args: Any, **kwargs: Any) -> Any:
        """The output of a block that is here."""
        block = self.blocks[min(self.held)]
        return type(block).forward(block, *args, **kwargs)

    def inputs(
        self, masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]
    ) -> dict[str, Tensor]:
        """Model inputs as far as a server knows them: masks, and zeros for what stays on the
        device."""
        zeros = {name: self._zeros(name, shape) for name, shape in shapes.items()}
        return zeros | {name: mask.long() for name, mask in masks.items()}

    def _zeros(self, name: str, shape: Sequence[int]) -> Tensor:
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
        with self._lock:
            for block in self.blocks:
                block.forward = forward
            try:
                yield
            finally:
                for block in self.blocks:
                    del block.forward

    def run(
        self,
        h_BTH: Tensor,
        span: range,
        calls: list[BlockCall],
        weights: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Blocks `span`, one after the other; with `weights`, by "block.name", in place of their
        own where given."""
        with self._lock:
            for index in span:
                args, kwargs = calls[index]
                if weights is None:
                    output = self.blocks[index](h_BTH, *args, **kwargs)
                else:
                    own = _of_block(weights, index)
                    output = functional_call(self.blocks[index], own, (h_BTH, *args), kwargs)
                h_BTH = output[0] if isinstance(output, tuple) else output
        return h_BTH


def _of_block(weights: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    start = f"{index}."
    return {k.removeprefix(start): w for k, w in weights.items() if k.startswith(start)}
