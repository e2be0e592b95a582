"""Label-prior (logit) adjustment: one model, two ways to predict.

Client i's log label frequencies are added to the logits in training, so that the model need not
learn them. They are added again in personal prediction, on the client's own rows, and left out in
global prediction, on everyone's (Menon et al., "Long-tail learning via logit adjustment", ICLR
2021; Ren et al., "Balanced meta-softmax", NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..catalog.models.heads import UNLABELLED, Inputs

SMOOTHING = 0.3
"""Added to the count of each class: one that a client has never seen stays possible."""
Mode = Literal["personal", "global"]


def log_prior(labels: Iterable[Any], classes: int) -> Tensor:
    """log((n_c + 0.3) / (n + 0.3 C)) [C] of class indices, or of lists of them, one for a token.

    Example: classes 0, 0, 1 of two: log(2.3 / 3.6) and log(1.3 / 3.6).
    """
    flat = [label for item in labels for label in (item if isinstance(item, list) else [item])]
    seen = torch.tensor([label for label in flat if label != UNLABELLED], dtype=torch.long)
    return prior_of_counts(torch.bincount(seen, minlength=classes))


def prior_of_counts(counts_C: Tensor) -> Tensor:
    """The same [C] of how many labels are of each class."""
    smooth_C = counts_C.double() + SMOOTHING
    return (smooth_C / smooth_C.sum()).log().float()


def adjusted_loss(model: Any, inputs: Inputs, labels: Tensor, prior_C: Tensor | None) -> Tensor:
    """The loss of `model`, a TaskModel; with a prior, the cross-entropy of logits + prior."""
    if prior_C is None:
        return model.loss(inputs, labels)
    flat = labels.flatten()
    logits = (model(inputs).float() + prior_C).reshape(len(flat), -1)
    return F.cross_entropy(logits, flat, ignore_index=UNLABELLED)
