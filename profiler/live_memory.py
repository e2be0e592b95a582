"""Live and peak bytes of the tensors that a computation makes, real or fake."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveMemory(TorchDispatchMode):
    """Counts each storage once, from the operation that makes it until its last holder lets go.

    Autograd is a holder too: what it saves for the backward pass stays live, and so do gradients.
    What a kernel takes and returns inside one operation is not seen. Storages of `known` (the
    weights) do not count.

    Autograd sums gradients in place, but out of place under any dispatch mode, such as this one:
    such a sum takes the place of its terms here as it would without the mode.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.maker = 0
        """Who makes the storages from now on."""
        self.live_bytes: Counter[int] = Counter()
        """Live bytes by maker."""
        self.peak_bytes = 0
        """The most that was live since the last `restart_peak`."""
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def restart_peak(self) -> None:
        self.peak_bytes = self.live_bytes.total()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = operation(*args, **(kwargs or {}))
        for leaf in tree_iter(output):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf)
        if not _sums_gradients(operation):
            self.peak_bytes = max(self.peak_bytes, self.live_bytes.total())
        return output

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        size = storage.nbytes()
        self.live_bytes[self.maker] += size
        weakref.finalize(storage, self._free, key, self.maker, size).atexit = False

    def _free(self, key: int, maker: int, size: int) -> None:
        self._seen.remove(key)
        self.live_bytes[maker] -= size


def _sums_gradients(operation: Any) -> bool:
    in_backward = torch._C._current_graph_task_id() != -1
    return operation is torch.ops.aten.add.Tensor and in_backward
