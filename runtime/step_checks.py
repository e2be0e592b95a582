"""What must hold of a client's step before it goes on: shapes, ranges and finite numbers.

Each check raises StepError, which names client and step. The training loop decides what becomes of
the client.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..catalog.models.heads import UNLABELLED, Inputs
from ..errors import StepError

LOWER_RATES = "lower the learning rates, or look for broken rows in this client's data"


def is_finite(tensor: Tensor) -> bool:
    """A sum says so, the cheapest of all passes; where it is not finite, finite numbers may have
    overflowed, and the least and the greatest element say (a NaN anywhere is both)."""
    tensor = tensor.detach()
    return math.isfinite(tensor.sum().item()) or all(
        math.isfinite(end.item()) for end in torch.aminmax(tensor)
    )


@dataclass(frozen=True)
class StepChecks:
    """For one step of one client."""

    client: str
    step: int

    def fail(self, found: str, hint: str = "") -> StepError:
        return StepError(self.client, self.step, found, hint)

    def finite(self, what: str, *tensors: Tensor) -> None:
        """No NaN and no infinity in floating-point tensors."""
        if not all(map(is_finite, tensors)):
            raise self.fail(f"{what} is not finite", LOWER_RATES)

    def gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Those that the parameters have."""
        own = [p.grad for p in parameters if p.grad is not None]
        self.finite("the gradient of the client's own weights", *own)

    def batch(self, inputs: Inputs, labels: Tensor, embedding: nn.Module) -> None:
        """Inputs and labels have the same rows, and tokens are in the vocabulary."""
        rows = {name: len(tensor) for name, tensor in inputs.items()} | {"labels": len(labels)}
        if len(set(rows.values())) != 1:
            found = ", ".join(f"{name} {count}" for name, count in rows.items())
            raise self.fail(f"the batch has different numbers of rows: {found}")
        ids = inputs.get("input_ids")
        if ids is None or not isinstance(embedding, nn.Embedding):
            return
        wrong = ids[(ids < 0) | (ids >= embedding.num_embeddings)]
        if wrong.numel():
            raise self.fail(
                f"token {int(wrong[0])} is outside the model's vocabulary of "
                f"{embedding.num_embeddings}",
                "the tokenizer does not match the model: take both from the same checkpoint",
            )
        if labels.dim() == 2 and labels.shape != ids.shape:
            raise self.fail(
                f"labels of shape {list(labels.shape)} for tokens of shape {list(ids.shape)}"
            )

    def labels(self, labels: Tensor, classes: int) -> None:
        """Labels in [0, classes), or UNLABELLED where tokens have them."""
        if labels.dim() == 2:
            labels = labels[labels != UNLABELLED]
            if labels.numel() == 0:
                raise self.fail("no token of the batch has a label")
        wrong = labels[(labels < 0) | (labels >= classes)]
        if wrong.numel():
            raise self.fail(
                f"label {int(wrong[0])} is outside [0, {classes})",
                "the head was made for these classes: profile and plan again with more --labels, "
                "or correct the data",
            )
