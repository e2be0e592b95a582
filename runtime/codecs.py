"""How a tensor is written on the wire. A codec is a pair of functions under a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Codec:
    """`encode` gives the payload and what is needed beside it (scales), `decode` takes both back
    to float32."""

    dtype: torch.dtype
    """The payload's."""
    scaled: bool = False
    """One float32 scale a token goes beside the payload: [..., 1]."""
    encode: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    decode: Callable[[Tensor, Tensor | None], Tensor]


def _int8(x_BTH: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 with one float32 scale per token."""
    scale_BT1 = x_BTH.abs().amax(-1, keepdim=True).float().clamp_min(1e-30) / 127
    return torch.round(x_BTH / scale_BT1).clamp_(-127, 127).to(torch.int8), scale_BT1


def _from_int8(payload_BTH: Tensor, scale_BT1: Tensor | None) -> Tensor:
    if scale_BT1 is None:
        raise ValueError("an int8 message needs its scales")
    return payload_BTH.float() * scale_BT1


CODECS = {
    "fp32": Codec(dtype=torch.float32, encode=lambda x: (x.float(), None), decode=lambda p, _: p),
    "bf16": Codec(
        dtype=torch.bfloat16,
        encode=lambda x: (x.bfloat16(), None),
        decode=lambda p, _: p.float(),
    ),
    "int8": Codec(dtype=torch.int8, scaled=True, encode=_int8, decode=_from_int8),
}
