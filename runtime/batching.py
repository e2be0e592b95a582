"""One pass of several clients through the frozen backbone, each with its own adapters and span.

Clients join at their own depth and leave at their own last block. Those that are in a block at the
same time go through its frozen weights as one batch; each meets its own adapters. Rows of different
clients never mix, so the results are those of separate passes, up to the rounding of larger matrix
products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..catalog.models.lora import LoraLinear, Stack, routed
from .frozen_products import FrozenProducts
from .middle import Middle
from .step_checks import is_finite

Weights = Mapping[str, tuple[Tensor, ...]]
"""A [r, in] and B [out, r] of each layer, by "block.layer path", or W of a projection, alone; or
each weight of whole blocks, alone, by "block.name"."""


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """One client's way through the server's blocks."""

    entry_BTH: Tensor
    span: range
    """The blocks it crosses."""
    masks: Mapping[str, Tensor]
    shapes: Mapping[str, Sequence[int]]
    """Shapes of the model inputs that stay on the device, batch first."""
    adapters: tuple[Weights, ...]
    """They add up: trunk, personal or both; every crossing of a pass has as many."""
    alone: bool = False
    """Its adapters are of a form of their own: it makes a pass of its own."""


@dataclass(frozen=True)
class Gradients:
    """Of one crossing."""

    entry_BTH: Tensor
    adapters: tuple[Weights, ...]
    finite: bool
    """All of `adapters` is."""


def segments(spans: Sequence[range]) -> list[tuple[range, list[int]]]:
    """(blocks, who is in them) from block to block, cut wherever someone joins or leaves."""
    edges = sorted({edge for span in spans for edge in (span.start, span.stop)})
    cut = [range(start, stop) for start, stop in pairwise(edges)]
    inside = [[i for i, span in enumerate(spans) if part.start in span] for part in cut]
    return [(part, members) for part, members in zip(cut, inside, strict=True) if members]


@dataclass(frozen=True)
class _Leaf:
    """The stacked pairs of one layer, of adapter number `slot` of each of `members`."""

    slot: int
    path: str
    members: list[int]
    sides: list[Tensor]


class JointPass:
    """A forward pass of crossings with equal keys, and at most one backward pass."""

    def __init__(
        self,
        middle: Middle,
        linears: Mapping[str, LoraLinear],
        crossings: Sequence[Crossing],
        *,
        training: bool,
    ) -> None:
        self.crossings = crossings
        self._leaves: list[_Leaf] = []
        self._entries = [c.entry_BTH.detach().requires_grad_(training) for c in crossings]
        with torch.set_grad_enabled(training):
            self.outputs = self._run(middle, linears)
        """[B, T, H] of each crossing; empty once no gradient will be taken."""
        self._waiting = set(range(len(crossings)))

    def _run(self, middle: Middle, linears: Mapping[str, LoraLinear]) -> list[Tensor]:
        length = max(entry.shape[1] for entry in self._entries)
        now = [_padded(entry, length, dim=1) for entry in self._entries]
        for span, members in segments([crossing.span for crossing in self.crossings]):
            crossings = [self.crossings[i] for i in members]
            calls = middle.recipe(_joint_masks(crossings, length), _joint_shapes(crossings, length))
            fast = FrozenProducts() if len(self.crossings) > 1 else nullcontext()
            with routed(self._routes(linears, span, members)), fast:
                rows = middle.run(_joint([now[i] for i in members]), span, calls)
            for i, own in zip(members, rows.chunk(len(members)), strict=True):
                now[i] = own
        lengths = [entry.shape[1] for entry in self._entries]
        return [
            rows if own == length else rows[:, :own] for rows, own in zip(now, lengths, strict=True)
        ]

    def _routes(
        self, linears: Mapping[str, LoraLinear], span: range, members: list[int]
    ) -> dict[LoraLinear, list[Stack]]:
        routes = {}
        for path, linear in linears.items():
            if int(path.partition(".")[0]) in span:
                routes[linear] = [
                    linear.stack(*self._sides(slot, path, members))
                    for slot, adapter in enumerate(self.crossings[members[0]].adapters)
                    if path in adapter
                ]
        return routes

    def _sides(self, slot: int, path: str, members: list[int]) -> list[Tensor]:
        pairs = [self.crossings[i].adapters[slot][path] for i in members]
        sides = [_stacked(list(side)) for side in zip(*pairs, strict=True)]
        if torch.is_grad_enabled():
            for side in sides:
                side.requires_grad_()
            self._leaves.append(_Leaf(slot, path, members, sides))
        return sides

    def worth(self, ready: int) -> bool:
        """Whether the gradients of `ready` crossings cost less here, by a backward pass of all,
        than by a forward and a backward pass of those alone."""
        return bool(self.outputs) and 2 * ready >= len(self.crossings)

    def leave(self, index: int) -> None:
        """No gradient will be asked for this crossing any more. What can't be worth it is freed."""
        self._waiting.discard(index)
        if not self.worth(len(self._waiting)):
            self._free()

    def _free(self) -> None:
        self.outputs, self._leaves, self._entries = [], [], []

    def gradients(self, wanted: Mapping[int, Tensor]) -> dict[int, Gradients]:
        """Of the crossings `wanted`, given the gradient by the output of each. This is the one
        backward pass: what the other crossings would need is freed."""
        leaves = [leaf for leaf in self._leaves if any(i in wanted for i in leaf.members)]
        sides = [side for leaf in leaves for side in leaf.sides]
        found = torch.autograd.grad(
            [self.outputs[i] for i in wanted],
            [*(self._entries[i] for i in wanted), *sides],
            list(wanted.values()),
        )
        self._free()
        entries, of_sides = found[: len(wanted)], iter(found[len(wanted) :])
        adapters: dict[int, tuple[dict[str, tuple[Tensor, ...]], ...]] = {
            i: tuple({} for _ in self.crossings[i].adapters) for i in wanted
        }
        broken = set()
        for leaf in leaves:
            parts = [next(of_sides) for _ in leaf.sides]
            whole = all(map(is_finite, parts))
            for row, i in enumerate(leaf.members):
                if i in wanted:
                    own = tuple(part[row] for part in parts)
                    adapters[i][leaf.slot][leaf.path] = own
                    if not whole and not all(map(is_finite, own)):
                        broken.add(i)
        return {
            i: Gradients(entry, adapters[i], i not in broken)
            for i, entry in zip(wanted, entries, strict=True)
        }


def _stacked(tensors: list[Tensor]) -> Tensor:
    """[N, ...]; one tensor in N places, such as the trunk's, is not copied."""
    if all(tensor is tensors[0] for tensor in tensors):
        return tensors[0].detach().expand(len(tensors), *tensors[0].shape)
    return torch.stack([tensor.detach() for tensor in tensors])


def _joint(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _padded(tensor: Tensor, length: int, dim: int) -> Tensor:
    """Zeros up to `length` in dimension `dim`."""
    more = length - tensor.shape[dim]
    return F.pad(tensor, [0, 0] * (tensor.dim() - 1 - dim) + [0, more]) if more else tensor


def _joint_masks(crossings: Sequence[Crossing], length: int) -> dict[str, Tensor]:
    """Only crossings whose masks all are [B, T] are ever padded (`batch_key`)."""
    padding = any(crossing.entry_BTH.shape[1] < length for crossing in crossings)
    masks = {}
    for name in crossings[0].masks:
        own = [crossing.masks[name] for crossing in crossings]
        if len(own) > 1:  # position ids may be one row for all of a batch
            batch = crossings[0].entry_BTH.shape[0]
            own = [mask.expand(batch, *mask.shape[1:]) for mask in own]
        masks[name] = _joint([_padded(mask, length, 1) for mask in own] if padding else own)
    return masks


def _joint_shapes(crossings: Sequence[Crossing], length: int) -> dict[str, list[int]]:
    padding = any(crossing.entry_BTH.shape[1] < length for crossing in crossings)
    shapes = {}
    for name, (batch, *rest) in crossings[0].shapes.items():
        shapes[name] = [batch * len(crossings), *([length] if padding else rest)]
    return shapes
