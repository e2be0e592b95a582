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

from ..catalog.models.heads import UNLABELLED

SMOOTHING = 0.3
"""Added to the count of each class: one that a client has never seen stays possible."""
Mode = Literal["personal", "global"]


def log_prior(labels: Iterable[Any], classes: int) -> Tensor:
    """log((n_c + 0.3) / (n + 0.3 C)) [C] of class indices, or of lists of them, one for a token.

    Example: classes 0, 0, 1 of two: log(2.3 / 3.6) and log(1.3 / 3.6).
    """
    flat = [label for item in labels for label in (item if isinstance(item, list) else [item])]
    seen = torch.tensor([label for label in flat if label != UNLABELLED], dtype=torch.long)
    counts = torch.bincount(seen, minlength=classes).double() + SMOOTHING
    return (counts / counts.sum()).log().float()
