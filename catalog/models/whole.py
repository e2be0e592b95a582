"""Whole weights of blocks, which full fine-tuning trains where LoRA has adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class WholeWeights:
    """One owner's weights, by "block.name", such as "3.attention.self.query.weight"."""

    weights: dict[str, nn.Parameter]

    def __len__(self) -> int:
        return len(self.weights)

    def parameters(self) -> Iterator[nn.Parameter]:
        yield from self.weights.values()

    def named(self) -> dict[str, nn.Parameter]:
        return dict(self.weights)

    def tensors(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self.weights.items()}

    def by_path(self) -> dict[str, tuple[nn.Parameter, ...]]:
        """As an adapter's, one weight for a path."""
        return {name: (weight,) for name, weight in self.weights.items()}

    def take_gradients(self, gradients: Mapping[str, tuple[Tensor, ...]]) -> None:
        for name, (gradient,) in gradients.items():
            self.weights[name].grad = gradient


def whole_weights(
    blocks: nn.ModuleList, indices: range, start: Callable[[Tensor], Tensor]
) -> WholeWeights:
    """`start` of each weight of some blocks: the weight itself, a copy, or zeros to add to it."""
    return WholeWeights(
        {
            f"{index}.{name}": nn.Parameter(start(weight.detach()))
            for index in indices
            for name, weight in blocks[index].named_parameters()
        }
    )


def summed(owners: Sequence[Mapping[str, tuple[Tensor, ...]]]) -> dict[str, Tensor]:
    """What blocks compute with where several owners' weights add up; every owner has the same
    names."""
    first, *others = owners
    return {name: sum((o[name][0] for o in others), weight) for name, (weight,) in first.items()}
