"""How a forward pass computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def computing(*, bfloat16: bool) -> Iterator[None]:
    """With `bfloat16`, matrix products run in it while weights stay as they are. Attention is then
    written out: the backward pass of torch's fused bfloat16 kernel for CPUs takes seven times as
    long as its float32 one."""
    if not bfloat16:
        yield
        return
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield
