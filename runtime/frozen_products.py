"""Products with frozen weights by oneDNN, which uses the wide vectors of every CPU that has them.

torch multiplies float32 matrices with MKL, which is half as fast on CPUs of other makers
(docs/benchmarks.md). The numbers differ in rounding: only passes of several clients, which round in
their own way anyhow, are computed so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode


def one_dnn() -> Callable[..., Tensor] | None:
    """The operator, if this build of torch has it."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


ROWS = 128
"""Rows of one call: enough for full speed. oneDNN keeps 0.6 MiB of code for every shape that it has
met; other numbers of rows would be other shapes."""


def _multiplied(
    product: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """x Wᵀ + b."""
    rows = x.reshape(-1, x.shape[-1])
    found = rows.new_empty(len(rows), len(weight))
    whole = len(rows) // ROWS * ROWS
    for start in range(0, whole, ROWS):
        part = rows[start : start + ROWS]
        found[start : start + ROWS] = product(part, weight, bias, "none", [], "")
    if whole < len(rows):
        found[whole:] = F.linear(rows[whole:], weight, bias)
    return found.view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """x Wᵀ + b, with the gradient by x alone."""

    @staticmethod
    def forward(
        ctx: Any, product: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.product = product
        ctx.save_for_backward(weight)
        return _multiplied(product, x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return None, _multiplied(ctx.product, gradients[0], weight.t(), None), None, None


class FrozenProducts(TorchFunctionMode):
    """Inside, linear layers with frozen float32 weights on a CPU are computed by oneDNN."""

    def __init__(self) -> None:
        super().__init__()
        self._product = one_dnn()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.linear and self._product is not None and _is_frozen(*args, **(kwargs or {})):
            x, weight, *bias = args
            return _Product.apply(self._product, x, weight, *bias or (None,))
        return func(*args, **(kwargs or {}))


def _is_frozen(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    return x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and not trained
