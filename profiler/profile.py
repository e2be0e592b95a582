"""The profile: what one training step of a model costs, unit by unit. Torch is not needed to
read one."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ..catalog.files import Contract

Task = Literal["classification", "token-classification", "image-classification", "causal-lm"]
"""A class for each sample, text or image; a class for each token; a class for each image; the next
token."""
TOKEN_TASKS: frozenset[Task] = frozenset({"token-classification", "causal-lm"})
"""Those with a label for each token."""
Method = Literal["lora", "full", "head"]
"""What trains: adapters on frozen blocks and the head, every weight, or the head alone."""
Optimizer = Literal["adamw", "sgd"]


class ProfileSettings(Contract):
    """What was profiled. The runtime trains with the same settings."""

    task: Task = "classification"
    labels: PositiveInt = 20
    """Classes of the head (unused for causal-lm)."""
    batch: PositiveInt = 16
    """Samples a step."""
    length: PositiveInt = 64
    """Tokens a sample, padding included."""
    method: Method = "lora"
    lora_rank: PositiveInt = 8
    lora_targets: tuple[str, ...] = ()
    """Names of the adapted linear layers; empty: the architecture's usual ones (peft's table)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    optimizer: Optimizer = "adamw"
    """AdamW keeps two moments of every trained weight; SGD is without momentum and keeps none."""


class UnitProfile(Contract):
    """One unit of the model: the embedding, a block or the head. All figures are for one step of
    `batch` samples on one device."""

    name: str
    """"embedding", "block.0", ..., "head"."""
    parameters: NonNegativeInt
    """Number of parameters, adapters included; those tied to the embedding count there only."""
    parameter_bytes: NonNegativeInt
    """Bytes of the parameters, and of buffers such as masks."""
    trainable_bytes: NonNegativeInt
    """Bytes of the parameters that train, hence of their gradients. One that is tied to the
    embedding counts to the head, where the backward pass makes its gradient first."""
    largest_trainable_bytes: NonNegativeInt
    """Bytes of the largest single trainable tensor (AdamW's transients are twice that)."""
    tied_bytes: NonNegativeInt = 0
    """Bytes of the embedding's weights that the unit uses too, such as a tied vocabulary head: a
    machine that holds the unit without the embedding needs them as well."""
    forward_flops: NonNegativeInt
    """2 FLOPs per multiply-add."""
    backward_flops: NonNegativeInt
    saved_bytes: NonNegativeInt
    """What the unit makes in the forward pass and is live when the backward pass begins; its
    output is among it where the next unit keeps it."""
    forward_transient_bytes: NonNegativeInt
    """Peak of live memory during its forward pass, above what the units below it saved."""
    backward_transient_bytes: NonNegativeInt
    """Peak of live memory during its backward pass, above what it and the units below it saved and
    the gradients of the units above it. The gradient that comes in is included."""
    boundary_bytes: NonNegativeInt
    """Bytes of the unit's output (batch × length × hidden × dtype); 0 for the head."""


FLOPS_TOLERANCE = 0.002
"""By how much a second count of FLOPs may differ before it is worth a warning."""


class FlopsCheck(Contract):
    """The forward FLOPs, counted a second time by another tool in another way
    (profiler/verify.py)."""

    counter: Literal["fvcore"] = "fvcore"
    version: str
    """The counter's."""
    forward_flops: PositiveInt
    """Of the whole model, 2 FLOPs per multiply-add."""
    ratio: float
    """The profile's forward FLOPs over these."""
    worst_part: str
    """The part of the model whose two counts differ most: a block, or "embedding and head"."""
    worst_ratio: float
    """Its ratio."""
    warning: str | None = None
    """What differs, where a part's ratio is more than FLOPS_TOLERANCE away from 1."""


class Profile(Contract):
    """A model's units in forward order: embedding, blocks, head."""

    schema_version: Literal[1] = 1
    model: str
    """The name it was asked for by: a catalogue name, a folder or a hub id."""
    model_type: str
    config_hash: str
    """SHA-256 of the model's configuration: a plan is tied to it."""
    hidden_size: PositiveInt
    inputs: Literal["tokens", "pixels"] = "tokens"
    """What a sample is. A batch of tokens has an attention mask, which crosses the wire."""
    settings: ProfileSettings
    units: tuple[UnitProfile, ...] = Field(min_length=3)
    verification: FlopsCheck | None = None
    """A second count of the FLOPs, where one was asked for (`flexp profile --verify`)."""

    @property
    def blocks(self) -> int:
        """L, the number of blocks."""
        return len(self.units) - 2

    @cached_property
    def embedding(self) -> UnitProfile:
        return self.units[0]

    @cached_property
    def block_units(self) -> tuple[UnitProfile, ...]:
        return self.units[1:-1]

    @cached_property
    def head(self) -> UnitProfile:
        return self.units[-1]
