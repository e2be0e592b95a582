"""A client's head on the server: what follows the blocks, the loss, and the head's own optimizer.

The step is the model's own forward pass on zeros, its blocks replaced by the output of the last
block that the server ran: final norm, pooling, head and loss are the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.models.heads import TaskModel
from ..errors import StepError
from .middle import Middle
from .optim import OPTIMIZERS, apply, learning_rate_factor


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    learning_rate: float
    steps: int
    """Steps that the client will run."""
    optimizer: str = "adamw"


class ServerHead:
    """One client's. `model` is made of the server's backbone, which `middle` runs, and of a head
    that no other client has."""

    def __init__(
        self, client: str, model: TaskModel, middle: Middle, settings: HeadSettings
    ) -> None:
        self.client, self.model, self.middle, self.settings = client, model, middle, settings
        self.trained = [p for p in model.head.parameters() if p.requires_grad]
        make = OPTIMIZERS[settings.optimizer]
        self.optimizer = make(self.trained, settings.learning_rate) if self.trained else None

    def gradient(
        self,
        h_BTH: Tensor,
        masks: Mapping[str, Tensor],
        shapes: Mapping[str, list[int]],
        labels: Tensor,
        step: int,
        share: float = 1.0,
    ) -> tuple[float, Tensor, list[Tensor]]:
        """`share` times the loss, its gradient by `h_BTH`, the output of the client's last block,
        and those by the weights of the head that train. Nothing changes.

        Raises StepError where the loss is not finite."""
        leaf_BTH = h_BTH.detach().requires_grad_()
        with torch.enable_grad():
            loss = share * self.middle.on_top_of(
                leaf_BTH, masks, shapes, lambda inputs: self.model.loss(inputs, labels)
            )
        if not torch.isfinite(loss):
            raise StepError(
                self.client,
                step,
                f"the loss is {loss.item()}",
                "lower the learning rates, or look for broken rows in this client's data",
            )
        gradient_BTH, *own = torch.autograd.grad(loss, [leaf_BTH, *self.trained])
        return loss.item(), gradient_BTH, own

    def update(self, step: int, parts: Sequence[Sequence[Tensor]]) -> None:
        """One step of the head's optimizer, with the gradients of the step's parts added up."""
        for parameter, gradients in zip(self.trained, zip(*parts, strict=True), strict=True):
            parameter.grad = sum(gradients[1:], gradients[0])
        if self.optimizer is not None:
            factor = learning_rate_factor(step, self.settings.steps)
            apply(self.optimizer, [self.settings.learning_rate], factor)

    @torch.no_grad()
    def predict(
        self, h_BTH: Tensor, masks: Mapping[str, Tensor], shapes: Mapping[str, list[int]]
    ) -> Tensor:
        """Logits."""
        return self.middle.on_top_of(h_BTH, masks, shapes, self.model)
