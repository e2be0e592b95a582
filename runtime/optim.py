"""The optimizer that every owner of parameters uses, and how its state is kept in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

WARM_UP = 0.08
"""Share of a client's steps over which the learning rate rises from a tenth to the whole."""
FLOOR = 0.05
"""Share of the learning rate that is left at the last step."""


def learning_rate_factor(step: int, steps: int) -> float:
    """Warm-up, then a linear decay: a function of one client's own progress only, since clients
    share no clock."""
    done = step / steps
    return min(1.0, 0.1 + 0.9 * done / WARM_UP) * (1 - (1 - FLOOR) * done)


def adamw(
    parameters: Iterable[nn.Parameter], learning_rate: float, *, together: bool = False
) -> torch.optim.AdamW:
    """`together` updates all parameters operation by operation: the same numbers in less time, and
    in two temporaries the size of all parameters instead of the largest."""
    return torch.optim.AdamW(
        list(parameters),
        lr=learning_rate,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        foreach=together,
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
