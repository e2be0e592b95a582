"""A client: the bottom blocks, the head, the labels and the loss; the rest is behind the wire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..catalog.models.blocks import block_stack
from ..catalog.models.heads import Headless, Inputs, TaskModel
from ..catalog.models.lora import Adapter, activate, lora_linears, new_adapter
from ..profiler.placement import Placement
from .label_prior import Mode, adjusted_loss
from .micro_batches import Lanes, divide
from .optim import OPTIMIZERS, apply, learning_rate_factor
from .split import Bottom, attach, cross
from .step_checks import LOWER_RATES, StepChecks
from .wire import WHOLE, Part, Wire


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    steps: int
    learning_rate: float
    head_rate: float
    rank: int
    seed: int
    optimizer: str = "adamw"
    micro_batches: int = 1
    """Parts of a batch that are on their way at the same time."""


class Client:
    """Owns `model`, whose remote blocks it replaces by the wire.

    What trains is what `model` lets train: adapters on its own blocks, which it makes itself, or
    all its weights, or the head alone.
    """

    def __init__(
        self,
        name: str,
        model: TaskModel | Headless,
        placement: Placement,
        wire: Wire,
        settings: ClientSettings,
    ) -> None:
        self.name, self.depth, self.wire = name, placement.depth, wire
        self.settings = settings
        self.prior_C: Tensor | None = None
        """Added to the logits, where the run adjusts them (label_prior.py)."""
        self.lanes = Lanes(wire, settings.micro_batches) if settings.micro_batches > 1 else None
        remote = self.lanes or wire
        self.stack, _ = block_stack(model.root)
        """Where the blocks are in the library's model for the task."""
        self.model: TaskModel | Bottom
        if placement.head == "server" or isinstance(model, Headless):
            self.model = Bottom(model, remote, placement.depth)
        else:
            crossing = self.lanes.cross if self.lanes else cross
            attach(model.root, remote, placement.depth, placement.top, crossing)
            self.model = model
        _, blocks = block_stack(model.backbone)
        self.linears = lora_linears(blocks, range(len(blocks)))  # emptied blocks have none
        if placement.checkpointing:
            checkpoint_blocks(blocks)
        self.adopt(new_adapter(self.linears, settings.rank).seed(settings.seed))

    def adopt(self, adapter: Adapter) -> None:
        """Take `adapter`, on the device's own blocks, with an optimizer that has seen nothing."""
        self.adapter = adapter
        activate(self.linears, adapter)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer, self.rates = self._optimizer()

    def _optimizer(self) -> tuple[torch.optim.Optimizer | None, list[float]]:
        """The optimizer of the body and the head, and their learning rates; None where nothing of
        the client's trains."""
        own = {id(p) for p in self.model.head.parameters()}
        groups = [
            ([p for p in self.trained if id(p) not in own], self.settings.learning_rate),
            ([p for p in self.trained if id(p) in own], self.settings.head_rate),
        ]
        groups = [group for group in groups if group[0]]
        if not groups:
            return None, []
        (parameters, rate), *others = groups
        optimizer = OPTIMIZERS[self.settings.optimizer](parameters, rate)
        for more, other_rate in others:
            optimizer.add_param_group({"params": more, "lr": other_rate})
        return optimizer, [rate, *(rate for _, rate in others)]

    def train_step(self, step: int, inputs: Inputs, labels: Tensor) -> float:
        """One optimiser step on one batch; the loss before it.

        Raises StepError for a batch that does not fit the model and for numbers that are not
        finite. Nothing of the client has changed then; the server may have applied its own update,
        if what was wrong came after it.
        """
        self.wire.step = step
        checks = StepChecks(self.name, step)
        backbone: Any = self.model.backbone
        checks.batch(inputs, labels, backbone.get_input_embeddings())
        if isinstance(head := self.model.head, nn.Linear):
            checks.labels(labels, head.out_features)
        try:
            loss = self._gradients(inputs, labels, checks)
            checks.gradients(self.trained)
            if self.optimizer is not None:
                factor = learning_rate_factor(step, self.settings.steps)
                apply(self.optimizer, self.rates, factor)
        finally:
            for parameter in self.trained:
                parameter.grad = None
        return loss

    def _gradients(self, inputs: Inputs, labels: Tensor, checks: StepChecks) -> float:
        """Every gradient of the batch's loss, and the loss."""

        def one(part: Part, inputs: Inputs, labels: Tensor) -> float:
            loss = adjusted_loss(self.model, inputs, labels, self.prior_C)
            if part.share != 1 and not isinstance(self.model, Bottom):  # whose server has done it
                loss = loss * part.share
            value = loss.item()
            if not math.isfinite(value):
                raise checks.fail(f"the loss is {value}", LOWER_RATES)
            if self.lanes is None:
                if loss.requires_grad:  # else all that trains is the server's
                    loss.backward()
            else:
                self.lanes.backpropagate(loss)
            return value

        if self.lanes is None:
            return one(WHOLE, inputs, labels)
        return self.lanes.run(divide(inputs, labels, self.lanes.parts, self.model.counted), one)

    @torch.no_grad()
    def predict(self, inputs: Inputs, mode: Mode = "personal") -> Tensor:
        """Logits [B, C] of the personalised model; the label prior is part of the personal ones."""
        logits = self.model(inputs)
        return logits if self.prior_C is None or mode == "global" else logits + self.prior_C


def checkpoint_blocks(blocks: nn.ModuleList) -> None:
    """Run each block's forward pass again in the backward pass; dropout is off, so no random state
    need be kept for it."""
    run = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    block: Any
    for block in blocks:
        block.gradient_checkpointing = True
        block._gradient_checkpointing_func = run
