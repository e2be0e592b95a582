"""How a model calls each of its blocks, kept for the inputs that come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

BlockCall = tuple[tuple[Any, ...], dict[str, Any]]
"""What a block is called with beside the hidden state: positional and named arguments."""
LIMIT_BYTES = 64 << 20
"""Of all the masks and rotary inputs that are kept."""

Key = tuple[Any, ...]


class Recipes:
    """The most recently used recipes, up to LIMIT_BYTES of tensors.

    A recipe depends on the content, shape and type of the masks and position ids, on the shapes of
    the other inputs, and on how the model computes (`how`): all of it is in the key. What is kept
    is shared between steps, and read only.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._kept: OrderedDict[Key, tuple[list[BlockCall], int]] = OrderedDict()

    def get(self, key: Key) -> list[BlockCall] | None:
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Key, calls: list[BlockCall]) -> None:
        size = _tensor_bytes(calls)
        if size > self.limit_bytes:
            return
        self._kept[key] = (calls, size)
        self.held_bytes += size
        while self.held_bytes > self.limit_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self.held_bytes -= dropped


def recipe_key(
    masks: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]], *how: object
) -> Key:
    """Equal for inputs that a model calls its blocks alike for."""
    content = (
        (name, mask.shape, mask.dtype, mask.device, mask.contiguous().cpu().numpy().tobytes())
        for name, mask in sorted(masks.items())
    )
    return (*content, *((name, *shape) for name, shape in sorted(shapes.items())), *how)


def _tensor_bytes(calls: list[BlockCall]) -> int:
    """Bytes of the tensors, each storage once: blocks of a kind share theirs."""
    given = {id(one): one for args, named in calls for one in (*args, *named.values())}
    storages: dict[int, int] = {}
    for leaf in tree_iter(list(given.values())):
        if isinstance(leaf, torch.Tensor):
            storage = leaf.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())
