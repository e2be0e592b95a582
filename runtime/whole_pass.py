"""One client's pass through blocks whose weights all train: no other client can share it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..catalog.models.whole import summed
from .batching import Crossing, Gradients, Weights
from .middle import Middle
from .step_checks import is_finite


class WholePass:
    """A forward pass of one crossing, and at most one backward pass."""

    def __init__(self, middle: Middle, crossing: Crossing, *, training: bool) -> None:
        self.crossings = [crossing]
        self._entry = crossing.entry_BTH.detach().requires_grad_(training)
        calls = middle.recipe(crossing.masks, crossing.shapes)
        owners = [inside(weights, crossing.span) for weights in crossing.adapters]
        with torch.set_grad_enabled(training):
            self._weights = {
                name: weight.detach().requires_grad_(training)
                for name, weight in summed(owners).items()
            }
            self.outputs = [middle.run(self._entry, crossing.span, calls, self._weights)]
            """Empty once no gradient will be taken."""

    def worth(self, ready: int) -> bool:
        """Whether the graph is still there."""
        return bool(self.outputs)

    def leave(self, index: int) -> None:
        """No gradient will be asked for any more."""
        self._free()

    def _free(self) -> None:
        self.outputs, self._weights = [], {}

    def gradients(self, wanted: Mapping[int, Tensor]) -> dict[int, Gradients]:
        """Of the crossing, number 0, given the gradient by its output. Owners whose weights add up
        have the same gradient, each in tensors of its own."""
        names = list(self._weights)
        entry_BTH, *found = torch.autograd.grad(
            self.outputs, [self._entry, *self._weights.values()], [wanted[0]]
        )
        self._free()
        own = {name: (gradient,) for name, gradient in zip(names, found, strict=True)}
        copies = [
            {name: (gradient.clone(),) for name, (gradient,) in own.items()}
            for _ in self.crossings[0].adapters[1:]
        ]
        finite = all(map(is_finite, found))
        return {0: Gradients(entry_BTH, (own, *copies), finite)}


def inside(weights: Weights, span: range) -> dict[str, tuple[Tensor, ...]]:
    """The weights of these blocks."""
    return {name: own for name, own in weights.items() if int(name.partition(".")[0]) in span}
