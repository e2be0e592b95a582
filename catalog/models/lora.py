"""Low-rank adapters on frozen linear layers (LoRA, arXiv 2106.09685): y = Wx + s Σ B A x."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ...errors import UnsupportedModelError

SCALE = 2.0
"""lora_alpha / rank, for every rank."""

MORE_TARGETS = {
    "clip_vision_model": ["q_proj", "v_proj"],
    "deit": ["q_proj", "v_proj"],
    "dinov2": ["q_proj", "v_proj"],
    "distilbert": ["q_lin", "v_lin"],
    "modernbert": ["Wqkv"],
    "phi3": ["qkv_proj"],
    "qwen3_moe": ["q_proj", "v_proj"],
    "vit": ["q_proj", "v_proj"],
}
"""Query and value projections, or the layer that fuses them, of families that peft's table leaves
out."""


class Pair(nn.Module):
    """What an owner adds to a layer: `scale` times what it makes of the layer's input. A new one
    changes nothing."""

    scale: float

    def squared_norm(self) -> Tensor:
        """Of the matrix that is added to the layer's weight."""
        raise NotImplementedError

    def start(self, generator: torch.Generator) -> None:
        """Draw what is drawn."""
        raise NotImplementedError


class LoraPair(Pair):
    """A [r, in] and B [out, r]; B starts at zero."""

    scale = SCALE

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.randn(rank, in_features).mul_(in_features**-0.5))
        self.B = nn.Parameter(torch.zeros(out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.A), self.B)

    def squared_norm(self) -> Tensor:
        """‖s B A‖², as s² tr((A Aᵀ)(Bᵀ B)): no [out, in] matrix is formed."""
        return SCALE**2 * ((self.A @ self.A.T) * (self.B.T @ self.B)).sum()

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        self.A.normal_(generator=generator).mul_(self.A.shape[1] ** -0.5)


class Stack(Protocol):
    """One pair for each of N owners, as tensors with N in front, in the order of a pair's
    parameters.

    The rows of an input are N equal shares, one after the other; share i meets pair i.
    """

    def added(self, y: Tensor, x: Tensor) -> Tensor:
        """y + s B A x, as `LoraLinear` computes it with one owner's pair, to the last bit."""
        ...


@dataclass(frozen=True)
class LoraStack:
    """A [N, r, in] and B [N, out, r]."""

    A: Tensor
    B: Tensor

    def added(self, y: Tensor, x: Tensor) -> Tensor:
        owners = len(self.A)
        if owners == 1:
            return y + SCALE * F.linear(F.linear(x, self.A[0]), self.B[0])
        x_NRI, y_NRO = (t.reshape(owners, -1, t.shape[-1]) for t in (x, y))
        z_NRr = torch.bmm(x_NRI, self.A.mT)
        return torch.baddbmm(y_NRO, z_NRr, self.B.mT, alpha=SCALE).view(y.shape)


Routes = Mapping["LoraLinear", Sequence[Stack]]
_ROUTES: ContextVar[Routes] = ContextVar("routes", default=MappingProxyType({}))


@contextmanager
def routed(routes: Routes) -> Iterator[None]:
    """In this thread, and until the end of the block, these layers add `routes` to their base in
    place of their active adapters."""
    token = _ROUTES.set(routes)
    try:
        yield
    finally:
        _ROUTES.reset(token)


class LoraLinear(nn.Module):
    """A frozen linear layer and the sum of its active adapters, which may have several owners."""

    base: Any
    stack: Callable[..., Stack] = LoraStack

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.active = nn.ModuleList()

    def features(self) -> tuple[int, int]:
        """(in, out). transformers' Conv1D keeps its weight as [in, out]."""
        rows, columns = self.base.weight.shape
        return (columns, rows) if isinstance(self.base, nn.Linear) else (rows, columns)

    def new_pair(self, rank: int) -> Pair:
        """On the device and in the type of the layer."""
        return LoraPair(*self.features(), rank).to(self.base.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        stacks = _ROUTES.get().get(self)
        if stacks is not None:
            for stack in stacks:
                y = stack.added(y, x)
            return y
        for pair in self.active:
            y = y + pair.scale * pair(x)
        return y


@dataclass(frozen=True)
class Adapter:
    """One owner's pairs, by "block.layer path", such as "3.attention.self.query"."""

    pairs: dict[str, Pair]

    def __len__(self) -> int:
        return len(self.pairs)

    def parameters(self) -> Iterator[nn.Parameter]:
        for pair in self.pairs.values():
            yield from pair.parameters()

    def named(self) -> dict[str, nn.Parameter]:
        """By "path.A" and "path.B"."""
        return {
            f"{path}.{name}": parameter
            for path, pair in self.pairs.items()
            for name, parameter in pair.named_parameters()
        }

    def tensors(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.named().items()}

    def by_path(self) -> dict[str, tuple[nn.Parameter, ...]]:
        """A and B of each pair; a projection has one matrix."""
        return {path: tuple(pair.parameters()) for path, pair in self.pairs.items()}

    def take_gradients(self, gradients: Mapping[str, tuple[Tensor, ...]]) -> None:
        """The gradients of some pairs, each as `by_path` has its parameters."""
        for path, found in gradients.items():
            for parameter, gradient in zip(self.pairs[path].parameters(), found, strict=True):
                parameter.grad = gradient

    def seed(self, seed: int) -> Adapter:
        """Start A from `seed` and the layer's path alone, so that every owner of a layer starts
        alike; returns itself."""
        for path, pair in self.pairs.items():
            generator = torch.Generator().manual_seed(seed * 1_000_003 + crc32(path.encode()))
            pair.start(generator)
        return self

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        for path, pair in self.pairs.items():
            for name, parameter in pair.named_parameters():
                parameter.copy_(tensors[f"{path}.{name}"])


def default_targets(model_type: str, blocks: nn.ModuleList) -> tuple[str, ...]:
    """The layers that peft adapts in this architecture.

    Raises UnsupportedModelError, with the names to choose from, where peft has no default.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    targets = {**MORE_TARGETS, **TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING}.get(model_type)
    if targets is None:
        raise UnsupportedModelError(
            f"no default LoRA targets are known for {model_type!r}",
            f"name some with --targets, of: {', '.join(_linear_names(blocks))}",
        )
    return tuple(targets)


def wrap_linears(blocks: nn.ModuleList, targets: tuple[str, ...]) -> None:
    """Put a LoraLinear around every layer of `blocks` whose last name is in `targets`."""
    found = False
    for block in blocks:
        for path, module in list(block.named_modules()):
            name = path.rpartition(".")[2]
            if name in targets and _is_linear(module):
                block.set_submodule(path, LoraLinear(module))
                found = True
    if not found:
        raise UnsupportedModelError(
            f"no layer is named {' or '.join(targets)}",
            f"choose LoRA targets of: {', '.join(_linear_names(blocks))}",
        )


def lora_linears(blocks: nn.ModuleList, indices: range) -> dict[str, LoraLinear]:
    return {
        f"{index}.{path}": module
        for index in indices
        for path, module in blocks[index].named_modules()
        if isinstance(module, LoraLinear)
    }


def new_adapter(linears: dict[str, LoraLinear], rank: int) -> Adapter:
    """A fresh adapter for `linears`."""
    return Adapter({path: linear.new_pair(rank) for path, linear in linears.items()})


def activate(linears: dict[str, LoraLinear], *adapters: Adapter) -> None:
    """Make the sum of `adapters` the effective adapter of every layer of `linears`."""
    for path, linear in linears.items():
        linear.active = nn.ModuleList(
            adapter.pairs[path] for adapter in adapters if path in adapter.pairs
        )


def _is_linear(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def _linear_names(blocks: nn.ModuleList) -> list[str]:
    names = {path.rpartition(".")[2] for path, m in blocks[0].named_modules() if _is_linear(m)}
    return sorted(names)
