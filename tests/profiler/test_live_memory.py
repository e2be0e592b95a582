from __future__ import annotations

import torch
from flexp.profiler.live_memory import LiveMemory

KIB = 256
"""Elements of float32 in a KiB."""


def test_counts_what_is_alive_and_remembers_the_peak() -> None:
    with LiveMemory() as memory:
        kept = torch.zeros(KIB)
        passing = torch.zeros(2 * KIB)
        del passing
        assert memory.live_bytes.total() == 1024
        assert memory.peak_bytes == 3072
        memory.restart_peak()
        assert memory.peak_bytes == 1024
    del kept
    assert memory.live_bytes.total() == 0


def test_views_and_in_place_results_share_their_storage() -> None:
    with LiveMemory() as memory:
        base = torch.zeros(KIB)
        view = base.view(16, 16)[2:].t()
        base.add_(1)
        assert memory.live_bytes.total() == 1024
        del base
        assert memory.live_bytes.total() == 1024
        del view
        assert memory.live_bytes.total() == 0


def test_known_tensors_do_not_count() -> None:
    weight = torch.zeros(KIB)
    with LiveMemory([weight]) as memory:
        alias = weight.view(-1)
        assert memory.live_bytes.total() == 0
        assert alias.shape == (KIB,)


def test_a_storage_counts_to_its_maker() -> None:
    with LiveMemory() as memory:
        first = torch.zeros(KIB)
        memory.maker = 7
        second = torch.zeros(2 * KIB)
        assert dict(memory.live_bytes) == {0: 1024, 7: 2048}
        del first
        assert memory.live_bytes[0] == 0
        assert second.shape == (2 * KIB,)


def test_what_autograd_saves_stays_alive() -> None:
    x = torch.zeros(KIB, requires_grad=True)
    with LiveMemory([x]) as memory:
        y = x.exp().sin()  # exp keeps its result, sin its input: the same tensor
        assert memory.live_bytes.total() == 2048
        y.sum().backward()
        del y
        assert memory.live_bytes.total() == 1024  # the gradient
        assert x.grad is not None


def test_gradients_add_up_in_place() -> None:
    """Three uses of one leaf: its gradient so far and the next term, never a third tensor. Without
    the mode, a process of 200 MiB gradients was seen to grow by two of them."""
    x = torch.zeros(KIB, requires_grad=True)
    with LiveMemory([x]) as memory:
        y = (x * 2.0).sum() + (x * 3.0).sum() + (x * 4.0).sum()
        memory.restart_peak()
        before = memory.live_bytes.total()
        y.backward()
        assert 2048 <= memory.peak_bytes - before < 2048 + 64  # and a few scalars
