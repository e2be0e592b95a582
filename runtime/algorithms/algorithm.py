"""What an algorithm is: where the model is, whose weights train where, and what is averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ...catalog.files import Contract
from ...profiler.costs import ServerSide
from ..fleet_clock import rounds_of

SERVER = "(server)"
"""The owner of weights that all clients train together; no client can be called so."""

Where = Literal["planned", "common", "device", "server"]
"""planned: each client keeps blocks to its planned depth. common: all to the smallest planned
depth. device: the whole model is on the device. server: the rows of all clients are on the server.
"""
Part = Literal["bottom", "middle", "head"]
"""The blocks of a client, those that a server runs for it, and its head."""
Alignment = Literal["none", "prox", "feature", "both"]
HeadStart = Literal["names", "zero"]


class Options(Contract):
    """What is chosen beside the algorithm."""

    server_side: ServerSide = "shared"
    """flexp-sfl: adapters of the server's blocks."""
    alignment: Alignment = "none"
    """flexp-sfl: prox holds personal server adapters to the trunk, feature the output of the
    device's blocks to that of the pre-trained ones."""
    lambdas: str = "constant:0.01"
    """flexp-sfl: λ by block, of both terms: constant:X, linear:X or a list."""
    label_prior: bool = False
    """Logits are adjusted by the client's own label frequencies (label_prior.py)."""
    projection: bool = False
    """An adapter on the last block's output as well (catalog/models/projection.py): the server's
    where a server runs that block."""
    head_start: HeadStart = "names"
    """Heads start at the features of the classes' names, or at zero."""
    learning_rate: PositiveFloat = 3e-3
    """Of the body."""
    head_rate: PositiveFloat = 3e-3
    round_steps: PositiveInt | None = None
    """Steps of a client between two averages; none: an epoch of the client with the most rows."""
    fine_tune_share: float = Field(default=0.25, gt=0, lt=1)
    """fedavg+ft: share of the steps that follow the last average."""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """An algorithm as the training loop needs it."""

    where: Where
    middle: ServerSide = "personal"
    """Who trains the blocks that a server runs: all together, each client its own, or both."""
    averaged: frozenset[Part] = frozenset()
    """Parts whose weights are averaged at the end of each round, weighted by training rows."""
    averaged_share: float = 1.0
    """Share of the steps that have rounds."""

    def depth(self, planned: int, common: int, blocks: int) -> int:
        """Blocks from the bottom that a client keeps."""
        return {"planned": planned, "common": common}.get(self.where, blocks)

    def owners(self, client: str, block: int, span: range) -> tuple[str, ...]:
        """Whose weights block `block` has for `client`, for which a server runs the blocks of
        `span`; two owners' adapters are added."""
        if block not in span or self.middle == "personal":
            return (client,)
        return (SERVER,) if self.middle == "shared" else (SERVER, client)

    def barriers(self, steps: int, round_steps: int) -> frozenset[int]:
        """The steps, from 0, after which a client's round ends."""
        if not self.averaged:
            return frozenset()
        until = max(1, round(self.averaged_share * steps))
        return rounds_of(steps, round_steps, until)


WHOLE: frozenset[Part] = frozenset({"bottom", "middle", "head"})
BODY: frozenset[Part] = frozenset({"bottom", "middle"})
