"""Floating-point operations of a computation, 2 for each multiply-add."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

Shape = torch.Size


def flop_counter() -> FlopCounterMode:
    """torch's counter (matrix products and convolutions), with what it does not know: the attention
    kernel that CPUs use, all T × T scores counted, causal or not; and mixtures of experts."""
    aten = torch.ops.aten
    return FlopCounterMode(
        display=False,
        custom_mapping={
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
            aten._grouped_mm: _grouped_product,
        },
    )


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


def _grouped_product(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Each row of [M, K] meets one of several [K, N], or each of M columns one outer product."""
    return 2 * a[-2] * a[-1] * b[-1]
