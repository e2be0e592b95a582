"""The training loop of every algorithm: it follows the events of the fleet's clock.

A step's gradient is of the weights as the step meets them at the server; the server's part of it is
applied when the backward pass comes by, the device's when the step is over. So a step of a slow
client is as stale as it would be in the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...catalog.models.blocks import block_stack
from ...catalog.models.heads import CausalLM, Inputs, TaskModel
from ...errors import StepError, UnsupportedModelError
from ...profiler.profile import ProfileSettings
from ..alignment import feature_distance, parse_lambdas
from ..batches import Batch, Batcher, Encoded, batch_indices
from ..fleet_clock import Event, Kind
from ..label_prior import Mode, adjusted_loss, log_prior
from ..optim import learning_rate_factor
from ..step_checks import LOWER_RATES
from .algorithm import Algorithm, Options
from .body import Body, FullBody, LoraBody, penalty
from .boundary import Boundaries
from .holdings import Holdings, Key
from .precision import computing


@dataclass(frozen=True, kw_only=True)
class Trainee:
    """One client, or whoever trains in its place."""

    train: Encoded
    steps: int
    """That it takes: its learning rates follow them."""
    span: range
    """Blocks that a server runs for it; empty where the model is in one place."""
    codec: str = "fp32"


Gradients = dict[Key, list[Tensor]]


class Trainer:
    """All models of a fleet under one algorithm."""

    def __init__(
        self,
        model: TaskModel,
        algorithm: Algorithm,
        options: Options,
        trainees: Mapping[str, Trainee],
        batcher: Batcher,
        settings: ProfileSettings,
        seed: int,
        *,
        bfloat16: bool = False,
    ) -> None:
        """`model` has its head as every client starts with it; `bfloat16` runs matrix products
        so, while weights, sums and updates stay as they are.

        Raises UnsupportedModelError for a model of the next token, FieldError for λ.
        """
        if isinstance(model, CausalLM):
            raise UnsupportedModelError(
                "algorithms are compared by the labels that they get right; a model of the next "
                "token has none",
                "profile and plan with --task classification",
            )
        self.model, self.options, self.trainees = model, options, trainees
        self.batcher, self.batch_size, self.seed = batcher, settings.batch, seed
        _, blocks = block_stack(model.backbone)
        self.lambdas = parse_lambdas(options.lambdas, len(blocks), "--lambdas")
        self.boundaries = Boundaries(blocks)
        body: Body = (
            LoraBody(model, settings.lora_rank, seed)
            if settings.method == "lora"
            else FullBody(model)
        )
        if algorithm.middle == "aligned" and settings.method != "lora":
            raise UnsupportedModelError(
                f"an aligned server side adds adapters to a trunk; {settings.method} has none",
                "choose --server-side shared or personal, or --method lora",
            )
        self.holdings = Holdings(
            model,
            body,
            algorithm,
            {name: one.span for name, one in trainees.items()},
            (options.learning_rate, options.head_rate),
            settings.optimizer,
        )
        classes = model.head.out_features
        self.priors = {name: log_prior(one.train.labels, classes) for name, one in trainees.items()}
        self.pending: dict[str, tuple[float, Gradients]] = {}
        self.bfloat16 = bfloat16

    def follow(self, events: Iterable[Event]) -> Iterator[tuple[Event, float | None]]:
        """Every event once it has had its effect, with the step's loss where a step is over."""
        for event in events:
            yield event, self._handle(event)

    def _handle(self, event: Event) -> float | None:
        if event.kind is Kind.MEET:
            self.pending[event.client] = self._gradients(event.client, event.step)
        elif event.kind is Kind.APPLY:
            self._update(event, on_server=True)
        elif event.kind is Kind.DONE:
            self._update(event, on_server=False)
            return self.pending.pop(event.client)[0]
        elif event.kind is Kind.AVERAGE:
            rows = {name: len(self.trainees[name].train) for name in event.members}
            self.holdings.average(rows)
        return None

    def batch(self, client: str, step: int) -> Batch:
        rows = self.trainees[client].train
        chosen = batch_indices(len(rows), self.batch_size, step, self.seed, client)
        return self.batcher.batch(rows, chosen)

    def _gradients(self, client: str, step: int) -> tuple[float, Gradients]:
        """The loss of a step, and the gradient of every holding in the client's model."""
        self._enter(client)
        inputs, labels = self.batch(client, step)
        kept = self._aligned_block(client)
        self.boundaries.kept_block = kept
        with computing(bfloat16=self.bfloat16):
            loss = adjusted_loss(
                self.model,
                inputs,
                labels,
                self.priors[client] if self.options.label_prior else None,
            )
        if not torch.isfinite(loss):
            raise StepError(client, step, f"the loss is {loss.item()}", LOWER_RATES)
        objective = loss
        if kept is not None:
            objective = objective + self._feature_term(client, kept, inputs)
        if self.options.alignment in ("prox", "both"):
            for key in self.holdings.deltas(client):
                if self.lambdas[key[1]] > 0:
                    weights = self.holdings.held[key].weights
                    objective = objective + self.lambdas[key[1]] * penalty(weights)
        keys = self.holdings.keys(client)
        flat = [p for key in keys for p in self.holdings.held[key].parameters]
        found = iter(torch.autograd.grad(objective, flat))
        return loss.item(), {
            key: [next(found) for _ in self.holdings.held[key].parameters] for key in keys
        }

    def _enter(self, client: str) -> None:
        own = self.trainees[client]
        self.holdings.install(client)
        self.boundaries.set(own.span, own.codec)

    def _aligned_block(self, client: str) -> int | None:
        """The device's last block, where its output is held to the pre-trained one."""
        span = self.trainees[client].span
        if self.options.alignment not in ("feature", "both") or not span:
            return None
        last = span.start - 1
        return last if self.lambdas[last] > 0 else None

    def _feature_term(self, client: str, block: int, inputs: Inputs) -> Tensor:
        h_BTH = self.boundaries.kept_BTH
        assert h_BTH is not None
        self.holdings.install_pretrained()
        with computing(bfloat16=self.bfloat16):
            reference_BTH = self.boundaries.up_to(block, self.model.root, inputs)
        self.holdings.install(client)
        mask_BT = inputs.get("attention_mask")
        return self.lambdas[block] * feature_distance(h_BTH, reference_BTH, mask_BT)

    def _update(self, event: Event, *, on_server: bool) -> None:
        factor = learning_rate_factor(event.step, self.trainees[event.client].steps)
        for key, gradients in self.pending[event.client][1].items():
            if self.holdings.on_server(event.client, key) == on_server:
                self.holdings.held[key].update(gradients, factor)

    def identity(self, trainee: str) -> tuple[range, str, bytes]:
        """Of a model: two that are alike to the last bit have the same."""
        own = self.trainees[trainee]
        return own.span, own.codec, self.holdings.digest(trainee)

    @torch.no_grad()
    def accuracy(
        self, trainee: str, batches: Iterable[Batch], mode: Mode, prior_C: Tensor | None = None
    ) -> float:
        """Share of labels that a model gets right; in personal mode with the label prior, if that
        is on: its own, or `prior_C`."""
        self._enter(trainee)
        self.boundaries.kept_block = None
        right = total = 0
        for inputs, labels in batches:
            with computing(bfloat16=self.bfloat16):
                logits = self.model(inputs).float()
            if self.options.label_prior and mode == "personal":
                logits = logits + (self.priors[trainee] if prior_C is None else prior_C)
            right += self.model.right(logits, labels)
            total += self.model.counted(labels)
        return right / total if total else 0.0
