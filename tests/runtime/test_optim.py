"""One flat update gives the numbers of one update a parameter, and keeps its moments the same."""

from __future__ import annotations

import torch
from flexp.runtime.optim import FlatAdamW, adamw, apply, moments, set_moments
from torch import nn

SHAPES = ((3, 17), (5,), (17, 3), (1, 1))


def parameters() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def train(optimizer: torch.optim.Optimizer, own: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        random = torch.Generator().manual_seed(step + 1)
        for parameter in own:
            parameter.grad = torch.randn(parameter.shape, generator=random)
        apply(optimizer, [1e-2], 0.5 + 0.1 * step)
        assert all(parameter.grad is None for parameter in own)


def same(one: list[nn.Parameter], other: list[nn.Parameter]) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_the_same_numbers_to_the_bit() -> None:
    own, apart, start = parameters(), parameters(), parameters()
    flat, usual = FlatAdamW(own, 1e-2), adamw(apart, 1e-2)
    assert same(own, start) and moments(flat, own[0]) == {}
    train(flat, own, range(4))
    train(usual, apart, range(4))
    assert same(own, apart) and not same(own, start)
    for mine, theirs in zip(own, apart, strict=True):
        kept, expected = moments(flat, mine), moments(usual, theirs)
        assert kept.keys() == expected.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(kept[name], expected[name]) for name in expected)


def test_moments_that_are_put_back_go_on_alike() -> None:
    straight, stopped = parameters(), parameters()
    train(FlatAdamW(straight, 1e-2), straight, range(6))
    first = FlatAdamW(stopped, 1e-2)
    train(first, stopped, range(3))
    again = [nn.Parameter(parameter.detach().clone()) for parameter in stopped]
    second = FlatAdamW(again, 1e-2)
    for old, new in zip(stopped, again, strict=True):
        set_moments(second, new, moments(first, old))
    train(second, again, range(3, 6))
    assert same(straight, again)
