"""Who has which weights, and the optimizer of each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

import torch
from torch import Tensor, nn

from ...catalog.models.heads import Classifier, TokenClassifier
from ..optim import OPTIMIZERS, apply
from .algorithm import SERVER, Algorithm, Part
from .body import OUTSIDE, Body, Weights

HEAD = -2
"""The part that is a client's head."""
DELTA_RATE = 0.3
"""Learning rate of personal adapters beside the trunk's, where both are trained: as server.py."""

Key = tuple[str, int]
"""(owner, part)."""


class Holding:
    """One owner's weights of one part, with an optimizer that keeps its moments."""

    def __init__(self, weights: Weights, rate: float, optimizer: str) -> None:
        self.weights, self.rate = weights, rate
        self.parameters = [p for p in weights.parameters() if p.requires_grad]
        self.optimizer = OPTIMIZERS[optimizer](self.parameters, rate)

    def update(self, gradients: Sequence[Tensor], factor: float) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        apply(self.optimizer, [self.rate], factor)


class Holdings:
    """All weights of a fleet under one algorithm; owners that start alike."""

    def __init__(
        self,
        model: Classifier | TokenClassifier,
        body: Body,
        algorithm: Algorithm,
        spans: Mapping[str, range],
        rates: tuple[float, float],
        optimizer: str,
    ) -> None:
        """`spans` are the blocks that a server runs for each client, `rates` those of the body and
        of the heads."""
        self.model, self.body, self.algorithm, self.spans = model, body, algorithm, spans
        self.rates, self.optimizer = rates, optimizer
        self.start = copy.deepcopy(model.head)
        self.held: dict[Key, Holding] = {}
        for client in spans:
            for key in self.keys(client):
                if key not in self.held:
                    self.held[key] = self._fresh(key, client)

    def _fresh(self, key: Key, client: str) -> Holding:
        owner, part = key
        if part == HEAD:
            return Holding(copy.deepcopy(self.start), self.rates[1], self.optimizer)
        delta = owner != SERVER and len(self.owners(client, part)) > 1
        rate = self.rates[0] * (DELTA_RATE if delta else 1.0)
        return Holding(self.body.fresh(part), rate, self.optimizer)

    def owners(self, client: str, part: int) -> tuple[str, ...]:
        if part in (HEAD, OUTSIDE):
            return (client,)
        return self.algorithm.owners(client, part, self.spans[client])

    def keys(self, client: str) -> list[Key]:
        """The holdings that the client's model is made of, head last."""
        parts = (*self.body.parts, HEAD)
        return [(owner, part) for part in parts for owner in self.owners(client, part)]

    def digest(self, client: str) -> bytes:
        """SHA-256 of the weights that the client's model is made of."""
        found = sha256()
        for key in self.keys(client):
            for parameter in self.held[key].parameters:
                found.update(parameter.detach().contiguous().numpy().tobytes())
        return found.digest()

    def on_server(self, client: str, key: Key) -> bool:
        return key[1] in self.spans[client]

    def deltas(self, client: str) -> list[Key]:
        """Personal adapters beside a trunk."""
        return [
            key
            for key in self.keys(client)
            if key[0] == client and len(self.owners(client, key[1])) > 1
        ]

    def install(self, client: str) -> None:
        """Let the model be the client's."""
        for part in self.body.parts:
            owners = self.owners(client, part)
            self.body.install(part, [self.held[owner, part].weights for owner in owners])
        head = self.held[client, HEAD].weights
        assert isinstance(head, nn.Linear)
        self.model.head = head

    def install_pretrained(self) -> None:
        for part in self.body.parts:
            self.body.install(part, [])

    def averaged_parts(self, client: str) -> list[int]:
        """The parts of a client's model that are averaged."""
        of: Mapping[Part, Callable[[int], bool]] = {
            "head": lambda part: part == HEAD,
            "middle": lambda part: part in self.spans[client],
            "bottom": lambda part: part != HEAD and part not in self.spans[client],
        }
        return [
            part
            for part in (*self.body.parts, HEAD)
            if any(of[kind](part) for kind in self.algorithm.averaged)
        ]

    @torch.no_grad()
    def average(self, members: Mapping[str, int]) -> None:
        """Set the averaged parts of `members` to their mean, weighted by their training rows. The
        optimizers' moments stay with their owners."""
        total = sum(members.values())
        for part in self.averaged_parts(next(iter(members))):
            owned = [self.held[client, part].parameters for client in members]
            for same in zip(*owned, strict=True):
                shares = [rows / total for rows in members.values()]
                mean = sum(p * share for p, share in zip(same, shares, strict=True))
                for parameter in same:
                    parameter.copy_(mean)
