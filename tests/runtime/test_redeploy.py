"""Tensors that change hands when depths change: the effective adapters are what they were."""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

import pytest
import torch
from flexp.runtime.redeploy import Shift, moved
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

BLOCKS, RANK, WIDTH = 5, 2, 6
Tensors = dict[str, Tensor]


def pair(owner: str, block: int, seed: int) -> Tensors:
    """A pair with moments, as a checkpoint holds it."""
    random = torch.Generator().manual_seed(crc32(f"{owner} {block} {seed}".encode()))
    path = f"{owner}/{block}.attention.query"
    tensors = {}
    for name, shape in (("A", (RANK, WIDTH)), ("B", (WIDTH, RANK))):
        tensors[f"{path}.{name}"] = torch.randn(shape, generator=random)
        tensors[f"{path}.{name}/exp_avg"] = torch.randn(shape, generator=random)
    return tensors


def checkpoint(side: str, depth: int, seed: int = 0) -> Tensors:
    """Of one client, ada; what `side` has on the server."""
    tensors: Tensors = {"client/ada/head.weight": torch.ones(3, WIDTH)}
    for block in range(BLOCKS):
        if side != "personal":
            tensors |= pair("trunk", block, seed)
        if block < depth:
            tensors |= pair("client/ada", block, seed)
        elif side != "shared":
            tensors |= pair("personal/ada", block, seed)
    return tensors


def effective(tensors: Tensors, depth: int) -> list[Tensor]:
    """What each block's adapters add to the weight [out, in]: the client's own below `depth`, the
    server's from there."""
    found = []
    for block in range(BLOCKS):
        total = torch.zeros(WIDTH, WIDTH)
        for owner in ["client/ada"] if block < depth else ["trunk", "personal/ada"]:
            path = f"{owner}/{block}.attention.query"
            if f"{path}.A" in tensors:
                total += tensors[f"{path}.B"] @ tensors[f"{path}.A"]
        found.append(total)
    return found


def go(side: str, tensors: Tensors, before: int, after: int, *, upload: bool) -> Tensors:
    device, had = frozenset(range(after)), frozenset(range(before))
    shift = Shift(client="ada", to_device=device - had, to_server=had - device)
    return moved(tensors, checkpoint(side, after, seed=9), [shift], upload=upload)


SIDES = st.sampled_from(["shared", "personal", "aligned"])
DEPTHS = st.lists(st.integers(1, BLOCKS - 1), min_size=2, max_size=4)


@settings(max_examples=60, deadline=None)
@given(side=SIDES, depths=DEPTHS)
def test_with_upload_no_sequence_of_moves_changes_the_function(
    side: str, depths: list[int]
) -> None:
    tensors = checkpoint(side, depths[0])
    expected = effective(tensors, depths[0])
    for before, after in pairwise(depths):
        if before != after:
            tensors = go(side, tensors, before, after, upload=True)
    for found, was in zip(effective(tensors, depths[-1]), expected, strict=True):
        torch.testing.assert_close(found, was, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", ["shared", "personal", "aligned"])
def test_deeper_the_device_gets_the_effective_adapter(side: str) -> None:
    tensors = checkpoint(side, 2)
    deeper = go(side, tensors, 2, 4, upload=False)
    rank = {"shared": RANK, "personal": RANK, "aligned": 2 * RANK}[side]
    assert deeper["client/ada/3.attention.query.A"].shape == (rank, WIDTH)
    assert not any(key.startswith("personal/ada/3.") for key in deeper)
    assert any(key.startswith("personal/ada/4.") for key in deeper) == (side != "shared")
    for found, was in zip(effective(deeper, 4), effective(tensors, 2), strict=True):
        torch.testing.assert_close(found, was)


@pytest.mark.parametrize("side", ["shared", "personal", "aligned"])
def test_without_upload_nothing_of_the_device_reaches_the_server(side: str) -> None:
    tensors = checkpoint(side, 3)
    shallower = go(side, tensors, 3, 1, upload=False)
    fresh = checkpoint(side, 1, seed=9)
    for block in (1, 2):
        key = f"{block}.attention.query.A"
        assert f"client/ada/{key}" not in shallower
        if side == "shared":
            assert f"personal/ada/{key}" not in shallower
        else:
            assert torch.equal(shallower[f"personal/ada/{key}"], fresh[f"personal/ada/{key}"])
    server = [t for key, t in shallower.items() if not key.startswith("client/")]
    own = [t for key, t in tensors.items() if key.startswith("client/")]
    assert not any(a.shape == b.shape and torch.equal(a, b) for a in server for b in own)


@pytest.mark.parametrize("upload", [True, False])
def test_what_does_not_move_keeps_its_moments_and_what_moves_has_none(upload: bool) -> None:
    tensors = checkpoint("aligned", 3)
    after = go("aligned", tensors, 3, 2, upload=upload)
    kept = {k for k in tensors if not k.startswith(("client/ada/2.", "personal/ada/2."))}
    assert all(after[key] is tensors[key] for key in kept)
    assert {key for key in after if "/2." in key and key.endswith("exp_avg")} == {
        "trunk/2.attention.query.A/exp_avg",
        "trunk/2.attention.query.B/exp_avg",
    }


def test_other_clients_are_left_alone() -> None:
    tensors = checkpoint("aligned", 2)
    bo = {key.replace("/ada/", "/bo/"): t for key, t in tensors.items() if "/ada/" in key}
    after = go("aligned", tensors | bo, 2, 3, upload=True)
    assert {key: after[key] for key in bo} == bo


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
def test_a_sum_is_no_wider_than_its_layer(shape: tuple[int, int]) -> None:
    """However often blocks move back and forth."""
    wide, deep = shape
    random = torch.Generator().manual_seed(0)
    pairs = [
        (torch.randn(3, wide, generator=random), torch.randn(deep, 3, generator=random))
        for _ in range(4)
    ]
    tensors = {}
    for owner, (A, B) in zip(
        ("trunk", "personal/ada"), ((pairs[0]), summed(pairs[1:])), strict=True
    ):
        tensors |= {f"{owner}/4.query.A": A, f"{owner}/4.query.B": B}
    shift = Shift(client="ada", to_device=frozenset({4}), to_server=frozenset())
    result = moved(tensors, {}, [shift], upload=False)
    A, B = (result[f"client/ada/4.query.{side}"] for side in "AB")
    assert len(A) == B.shape[1] == min(shape)
    torch.testing.assert_close(B @ A, sum(b @ a for a, b in pairs))


def summed(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([A for A, _ in pairs]), torch.cat([B for _, B in pairs], dim=1)
