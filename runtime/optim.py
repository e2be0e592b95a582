"""The optimizer that every owner of parameters uses, and how its state is kept in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

WARM_UP = 0.08
"""Share of a client's steps over which the learning rate rises from a tenth to the whole."""
FLOOR = 0.05
"""Share of the learning rate that is left at the last step."""


def learning_rate_factor(step: int, steps: int) -> float:
    """Warm-up, then a linear decay: a function of one client's own progress only, since clients
    share no clock."""
    done = step / steps
    return min(1.0, 0.1 + 0.9 * done / WARM_UP) * (1 - (1 - FLOOR) * done)


BETAS = (0.9, 0.99)


def adamw(
    parameters: Iterable[nn.Parameter], learning_rate: float, *, together: bool = False
) -> torch.optim.AdamW:
    """`together` updates all parameters operation by operation: the same numbers in less time, and
    in two temporaries the size of all parameters instead of the largest."""
    return torch.optim.AdamW(
        list(parameters), lr=learning_rate, betas=BETAS, weight_decay=0.0, foreach=together
    )


def sgd(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.SGD:
    return torch.optim.SGD(list(parameters), lr=learning_rate)


OPTIMIZERS: Mapping[str, Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "sgd": sgd,
}


def apply(optimizer: torch.optim.Optimizer, base_rates: list[float], factor: float) -> None:
    """One step at `factor` times each group's base rate. Parameters without a gradient keep
    their moments: a client that crosses no block moves nothing in it."""
    for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
        group["lr"] = rate * factor
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


class FlatAdamW(torch.optim.AdamW):
    """AdamW over parameters of one type that all have a gradient at every step. They become views
    of one tensor, which is updated at once: the same numbers, in a third of the time where there
    are many small ones, such as one client's adapters. Temporaries are as with `together`."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self.parts = list(parameters)
        self.flat = nn.Parameter(torch.cat([part.detach().flatten() for part in self.parts]))
        for part, view in zip(self.parts, self._views(self.flat.detach()), strict=True):
            part.data = view
        super().__init__(
            [self.flat], lr=learning_rate, betas=BETAS, weight_decay=0.0, foreach=False
        )

    def _views(self, flat: Tensor) -> list[Tensor]:
        own = flat.split([part.numel() for part in self.parts])
        return [view.view_as(part) for view, part in zip(own, self.parts, strict=True)]

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        gradients = [part.grad for part in self.parts]
        self.flat.grad = torch.cat([g.flatten() for g in gradients if g is not None])
        super().step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        for part in self.parts:
            part.grad = None

    def view_of(self, parameter: nn.Parameter, flat: Tensor) -> Tensor:
        """The place of one of the parameters in a tensor like `flat`."""
        (index,) = (n for n, part in enumerate(self.parts) if part is parameter)
        return self._views(flat)[index]


def moments(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """What the optimizer keeps for one parameter, step count included; empty before a step."""
    if not isinstance(optimizer, FlatAdamW):
        return _tensors(optimizer.state.get(parameter, {}))
    return {
        name: optimizer.view_of(parameter, value) if value.dim() else value.clone()
        for name, value in _tensors(optimizer.state.get(optimizer.flat, {})).items()
    }


def _tensors(state: Mapping[str, object]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def set_moments(
    optimizer: torch.optim.Optimizer, parameter: nn.Parameter, kept: Mapping[str, Tensor]
) -> None:
    """The other way; a FlatAdamW must get those of all its parameters."""
    if not isinstance(optimizer, FlatAdamW):
        optimizer.state[parameter] = {name: value.clone() for name, value in kept.items()}
        return
    state = optimizer.state[optimizer.flat]
    for name, value in kept.items():
        if not value.dim():
            state[name] = value.clone()
            continue
        whole = state.setdefault(name, torch.zeros_like(optimizer.flat))
        optimizer.view_of(parameter, whole).copy_(value)
