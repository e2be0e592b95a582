"""Which clients can go through the backbone as one batch, and one pass for each such group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..catalog.models.lora import LoraLinear
from .batching import Crossing, Gradients, JointPass
from .middle import Middle
from .whole_pass import WholePass

BUCKET_TOKENS = 16
"""Clients are padded to one length only if their lengths lie between the same multiples of this."""

COMPUTE_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)
"""What a model raises for inputs that it can't take."""


@dataclass(frozen=True)
class Flight:
    """A forward pass that waits for its gradient: number `index` of `joint`."""

    crossing: Crossing
    joint: JointPass | WholePass
    index: int

    def leave(self) -> None:
        """No gradient will be asked for."""
        self.joint.leave(self.index)


@dataclass(frozen=True)
class Backbone:
    """The frozen blocks of all clients. Where a joint pass fails, each of its clients gets a pass
    of its own: only what can't be computed comes back as an error."""

    middle: Middle
    linears: Mapping[str, LoraLinear]
    whole: bool = False
    """All weights train, and every crossing is `alone`."""

    def forward(
        self, crossings: Sequence[Crossing], *, training: bool
    ) -> list[tuple[Flight, Tensor] | Exception]:
        """Each crossing's flight and output [B, T, H], in as few passes as there are kinds of
        shapes."""
        padding = pads_exactly(self.middle.backbone.config)
        groups: dict[Hashable, list[int]] = {}
        for index, crossing in enumerate(crossings):
            groups.setdefault(batch_key(crossing, padding), []).append(index)
        found: dict[int, tuple[Flight, Tensor] | Exception] = {}
        for members in groups.values():
            results = self._together([crossings[index] for index in members], training)
            found |= zip(members, results, strict=True)
        return [found[index] for index in range(len(crossings))]

    def _pass(self, crossings: list[Crossing], training: bool) -> JointPass | WholePass:
        if self.whole:
            (crossing,) = crossings
            return WholePass(self.middle, crossing, training=training)
        return JointPass(self.middle, self.linears, crossings, training=training)

    def _together(
        self, crossings: list[Crossing], training: bool
    ) -> list[tuple[Flight, Tensor] | Exception]:
        try:
            joint = self._pass(crossings, training)
        except COMPUTE_ERRORS as error:
            if len(crossings) == 1:
                return [error]
            return [self._together([crossing], training)[0] for crossing in crossings]
        flights = [Flight(crossing, joint, index) for index, crossing in enumerate(crossings)]
        return list(zip(flights, joint.outputs, strict=True))

    def backward(
        self, flights: Sequence[Flight], gradients_BTH: Sequence[Tensor]
    ) -> list[Gradients | Exception]:
        """The gradients of each flight, given the gradient by its output. Flights of which most
        of the pass came back take its graph; the others are computed again, together."""
        ready = Counter(flight.joint for flight in flights)
        stale = [
            n for n, flight in enumerate(flights) if not flight.joint.worth(ready[flight.joint])
        ]
        again = self.forward([flights[n].crossing for n in stale], training=True)
        now = dict(enumerate(flights))
        found: dict[int, Gradients | Exception] = {}
        for n, result in zip(stale, again, strict=True):
            now.pop(n).leave()
            if isinstance(result, Exception):
                found[n] = result
            else:
                now[n] = result[0]
        by_pass: dict[JointPass | WholePass, list[int]] = {}
        for n, flight in now.items():
            by_pass.setdefault(flight.joint, []).append(n)
        for joint, numbers in by_pass.items():
            own = joint.gradients({now[n].index: gradients_BTH[n] for n in numbers})
            found |= {n: own[now[n].index] for n in numbers}
        return [found[n] for n in range(len(flights))]


def pads_exactly(config: Any) -> bool:
    """Whether masked tokens on the right change nothing for those before them. They do where the
    rotary frequencies depend on the longest row of a batch."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    return not {kind.get("rope_type") for kind in kinds} & {"dynamic", "longrope"}


def batch_key(crossing: Crossing, padding: bool) -> Hashable:
    """Crossings with equal keys can make one pass. With `padding`, lengths in one bucket may
    differ where an attention mask can say so; otherwise all shapes must be equal."""
    if crossing.alone:
        return id(crossing)
    batch, length, width = crossing.entry_BTH.shape
    masks = {name: tuple(mask.shape) for name, mask in crossing.masks.items()}
    hidden = {name: tuple(shape) for name, shape in crossing.shapes.items()}
    text = masks == {"attention_mask": (batch, length)}
    if padding and text and set(hidden.values()) == {(batch, length)}:
        return batch, width, tuple(sorted(hidden)), -(-length // BUCKET_TOKENS)
    return batch, width, length, tuple(sorted(masks.items())), tuple(sorted(hidden.items()))
