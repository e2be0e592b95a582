"""What a client's step minimises: its loss, with the label prior and the alignment terms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ...catalog.models.heads import UNLABELLED, Inputs, TaskModel


def adjusted_loss(
    model: TaskModel, inputs: Inputs, labels: Tensor, prior_C: Tensor | None
) -> Tensor:
    """The model's own loss; with a prior, cross-entropy of logits + prior."""
    if prior_C is None:
        return model.loss(inputs, labels)
    logits = model(inputs).float() + prior_C
    flat = labels.flatten()
    return F.cross_entropy(logits.reshape(len(flat), -1), flat, ignore_index=UNLABELLED)


def feature_distance(h_BTH: Tensor, reference_BTH: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The mean over unmasked tokens of the squared distance of two features, per dimension."""
    squared_BT = (h_BTH.float() - reference_BTH.float()).square().mean(-1)
    if mask_BT is None:
        return squared_BT.mean()
    weight_BT = mask_BT.to(squared_BT.dtype)
    return (squared_BT * weight_BT).sum() / weight_BT.sum()


def check_finite(loss: Tensor) -> bool:
    return bool(torch.isfinite(loss))
