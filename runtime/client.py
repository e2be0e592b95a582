"""A client: the bottom blocks, the head, the labels and the loss; the rest is behind the wire."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.models.blocks import block_stack
from ..catalog.models.heads import Classifier, Inputs
from ..catalog.models.lora import activate, lora_linears, new_adapter
from ..errors import RunError
from .optim import adamw, apply, learning_rate_factor
from .split import attach
from .wire import Wire


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    steps: int
    learning_rate: float
    head_rate: float
    rank: int
    seed: int


class Client:
    """Owns `model`, whose blocks from `depth` on it replaces by the wire."""

    def __init__(
        self, name: str, model: Classifier, depth: int, wire: Wire, settings: ClientSettings
    ) -> None:
        self.name, self.model, self.depth, self.wire = name, model, depth, wire
        self.settings = settings
        attach(model.backbone, depth, wire)
        _, blocks = block_stack(model.backbone)
        linears = lora_linears(blocks, range(depth))
        self.adapter = new_adapter(linears, settings.rank).seed(settings.seed)
        activate(linears, self.adapter)
        self.rates = [settings.learning_rate, settings.head_rate]
        self.optimizer = adamw(self.adapter.parameters(), settings.learning_rate)
        self.optimizer.add_param_group(
            {"params": list(model.head.parameters()), "lr": settings.head_rate}
        )

    def train_step(self, step: int, inputs: Inputs, labels_B: Tensor) -> float:
        """One optimiser step on one batch; the loss before it.

        Raises RunError where the loss is not finite.
        """
        self.wire.step = step
        loss = self.model.loss(inputs, labels_B)
        value = loss.item()
        if not torch.isfinite(loss):
            raise RunError(
                f"client {self.name!r}, step {step}: the loss is {value}",
                "lower the learning rates, or look for broken rows in this client's data",
            )
        loss.backward()
        apply(self.optimizer, self.rates, learning_rate_factor(step, self.settings.steps))
        return value

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> Tensor:
        """Logits [B, C] of the personalised model."""
        return self.model(inputs)
