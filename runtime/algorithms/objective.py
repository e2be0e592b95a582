"""What a step minimises beside its loss."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_distance(h_BTH: Tensor, reference_BTH: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The mean over unmasked tokens of the squared distance of two features, per dimension."""
    squared_BT = (h_BTH.float() - reference_BTH.float()).square().mean(-1)
    if mask_BT is None:
        return squared_BT.mean()
    weight_BT = mask_BT.to(squared_BT.dtype)
    return (squared_BT * weight_BT).sum() / weight_BT.sum()


def check_finite(loss: Tensor) -> bool:
    return bool(torch.isfinite(loss))
