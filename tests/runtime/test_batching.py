"""Clients in one pass get what separate passes would give them: output and every gradient."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from flexp.catalog.models.build import bare_model
from flexp.catalog.models.lora import LoraPair, lora_linears
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.batching import Crossing, Gradients, JointPass, Weights, segments
from flexp.runtime.grouping import Backbone, batch_key, pads_exactly
from flexp.runtime.middle import Middle
from torch import Tensor

from .families import FAMILIES, HIDDEN, VISION

BATCH, RANK = 2, 3
SINGLE = ("gemma2", "gpt-neo", "mixtral", "qwen3-moe")
"""Families whose attention or experts compute in single precision whatever the weights are."""


def precision(family: str) -> torch.dtype:
    """Double where it can be, so that only a mistake makes a difference."""
    return torch.float32 if family in SINGLE else torch.float64


def backbone_of(family: str) -> Backbone:
    torch.manual_seed(0)
    settings = ProfileSettings(
        task="image-classification" if family in VISION else "classification", labels=3
    )
    model = bare_model(copy.deepcopy(FAMILIES[family]), settings).to(precision(family))
    middle = Middle(model.backbone.requires_grad_(False))
    return Backbone(middle, lora_linears(middle.blocks, range(len(middle.blocks))))


def random_weights(backbone: Backbone, seed: int) -> Weights:
    torch.manual_seed(seed)
    weights = {}
    for path, linear in backbone.linears.items():
        pair = LoraPair(*linear.features(), RANK).to(linear.base.weight)
        weights[path] = pair.A.detach(), torch.randn_like(pair.B)
    return weights


def crossing(
    family: str,
    seed: int,
    span: range,
    length: int,
    adapters: Sequence[Weights],
    padding: str = "right",
) -> Crossing:
    random = torch.Generator().manual_seed(seed)
    if family in VISION:
        masks: dict[str, Tensor] = {}
        length, shapes = 17 + (family == "deit"), {"pixel_values": [BATCH, 3, 16, 16]}
    else:
        mask_BT = torch.ones(BATCH, length, dtype=torch.uint8)
        hidden = slice(length - 2, length) if padding == "right" else slice(0, 2)
        mask_BT[0, hidden] = 0
        masks = {} if padding == "none" else {"attention_mask": mask_BT}
        shapes = {"input_ids": [BATCH, length]}
    return Crossing(
        entry_BTH=torch.randn(BATCH, length, HIDDEN, generator=random, dtype=precision(family)),
        span=span,
        masks=masks,
        shapes=shapes,
        adapters=tuple(adapters),
    )


def results(
    backbone: Backbone, crossings: Sequence[Crossing], seeds: Sequence[int], chosen: Sequence[int]
) -> list[tuple[Tensor, Gradients]]:
    """Output and gradients of each of `chosen`, all crossings forward together."""
    forward = backbone.forward(crossings, training=True)
    flights, outputs = [], []
    for index in chosen:
        result = forward[index]
        assert not isinstance(result, Exception), result
        flights.append(result[0])
        outputs.append(result[1].detach())
    gradients = [
        torch.randn(o.shape, generator=torch.Generator().manual_seed(seeds[i]), dtype=o.dtype)
        for i, o in zip(chosen, outputs, strict=True)
    ]
    backward = backbone.backward(flights, gradients)
    found = []
    for output, gradient in zip(outputs, backward, strict=True):
        assert isinstance(gradient, Gradients)
        found.append((output, gradient))
    return found


def assert_same(one: tuple[Tensor, Gradients], other: tuple[Tensor, Gradients]) -> None:
    single = one[0].dtype == torch.float32
    exactly = {"rtol": 1e-4, "atol": 1e-4} if single else {"rtol": 1e-9, "atol": 1e-10}
    torch.testing.assert_close(one[0], other[0], **exactly)
    torch.testing.assert_close(one[1].entry_BTH, other[1].entry_BTH, **exactly)
    assert len(one[1].adapters) == len(other[1].adapters)
    for mine, theirs in zip(one[1].adapters, other[1].adapters, strict=True):
        assert mine.keys() == theirs.keys() and mine
        for path in mine:
            for side in (0, 1):
                assert mine[path][side].abs().max() > 0
                torch.testing.assert_close(mine[path][side], theirs[path][side], **exactly)


def assert_batched_equals_separate(
    backbone: Backbone, crossings: Sequence[Crossing], passes: int, chosen: Sequence[int]
) -> None:
    keys = {batch_key(c, pads_exactly(backbone.middle.backbone.config)) for c in crossings}
    assert len(keys) == passes
    seeds = range(100, 100 + len(crossings))
    together = results(backbone, crossings, seeds, chosen)
    for index, joint in zip(chosen, together, strict=True):
        (alone,) = results(backbone, [crossings[index]], [seeds[index]], [0])
        assert_same(joint, alone)


MIXED = (range(1, 5), range(3, 5), range(2, 4), range(1, 5), range(1, 2))
"""Spans of blocks: depths 1, 2 and 3, two with blocks on top."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str) -> None:
    """Depths and lengths differ; one pass."""
    backbone = backbone_of(family)
    adapters = [random_weights(backbone, seed) for seed in range(len(MIXED))]
    lengths = (12, 9, 12, 10, 11)
    crossings = [
        crossing(family, seed, span, length, [own])
        for seed, (span, length, own) in enumerate(zip(MIXED, lengths, adapters, strict=True))
    ]
    assert_batched_equals_separate(backbone, crossings, 1, range(len(crossings)))


@pytest.mark.parametrize("padding", ["right", "left", "none"])
@pytest.mark.parametrize("lengths", [(12, 12, 12), (7, 12, 16), (7, 20, 40)])
@pytest.mark.parametrize("spans", [(range(2, 5),) * 3, (range(1, 5), range(2, 5), range(4, 5))])
@pytest.mark.parametrize("side", ["shared", "personal", "aligned"])
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_sides_depths_lengths_and_padding(
    family: str, side: str, spans: tuple[range, ...], lengths: tuple[int, ...], padding: str
) -> None:
    backbone = backbone_of(family)
    trunk = random_weights(backbone, 9)
    adapters: Mapping[str, list[list[Weights]]] = {
        "shared": [[trunk]] * 3,
        "personal": [[random_weights(backbone, seed)] for seed in range(3)],
        "aligned": [[trunk, random_weights(backbone, seed)] for seed in range(3)],
    }
    crossings = [
        crossing(family, seed, span, length, own, padding)
        for seed, (span, length, own) in enumerate(zip(spans, lengths, adapters[side], strict=True))
    ]
    buckets = {-(-length // 16) for length in lengths}
    passes = len(set(lengths)) if padding == "none" else len(buckets)
    assert_batched_equals_separate(backbone, crossings, passes, range(3))


@pytest.mark.parametrize("chosen", [(0,), (3, 1), (0, 1, 2), (4, 3, 2, 1, 0)])
def test_gradients_of_some_of_a_pass(chosen: tuple[int, ...]) -> None:
    """Few are computed again, most take the pass's own graph: the numbers are the same."""
    backbone = backbone_of("llama")
    crossings = [
        crossing("llama", seed, span, 12, [random_weights(backbone, seed)])
        for seed, span in enumerate(MIXED)
    ]
    assert_batched_equals_separate(backbone, crossings, 1, chosen)


def test_a_pass_keeps_its_graph_while_most_may_come_back() -> None:
    backbone = backbone_of("bert")
    crossings = [
        crossing("bert", seed, range(1, 5), 8, [random_weights(backbone, seed)])
        for seed in range(4)
    ]
    joint = JointPass(backbone.middle, backbone.linears, crossings, training=True)
    assert [joint.worth(ready) for ready in range(5)] == [False, False, True, True, True]
    joint.leave(0)
    joint.leave(0)
    joint.leave(1)
    assert joint.outputs and joint.worth(2)
    joint.leave(2)
    assert not joint.outputs and not joint.worth(4)


def test_a_culprit_fails_alone() -> None:
    """gpt2 has 40 positions; a pass of its own shows who asked for more."""
    backbone = backbone_of("gpt2")
    weights = random_weights(backbone, 0)
    crossings = [
        crossing("gpt2", seed, range(1, 5), n, [weights]) for seed, n in enumerate((39, 41))
    ]
    good, bad = backbone.forward(crossings, training=True)
    assert isinstance(bad, Exception) and not isinstance(good, Exception)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"masks": {}}, False),
        ({"shapes": {"input_ids": [BATCH, 12], "token_type_ids": [BATCH, 12]}}, False),
        ({"span": range(4, 5)}, True),
        ({"entry_BTH": torch.zeros(BATCH + 1, 12, HIDDEN)}, False),
    ],
)
def test_what_may_share_a_pass(changes: dict[str, Any], same: bool) -> None:
    one = crossing("bert", 0, range(1, 5), 12, [])
    other = Crossing(**{**vars(one), **changes})
    assert (batch_key(one, True) == batch_key(other, True)) == same


@pytest.mark.parametrize(
    ("rope", "exact"),
    [
        (None, True),
        ({"rope_type": "default"}, True),
        ({"rope_type": "dynamic"}, False),
        ({"full_attention": {"rope_type": "longrope"}}, False),
    ],
)
def test_lengths_are_mixed_only_where_no_frequency_depends_on_them(rope: Any, exact: bool) -> None:
    config = copy.deepcopy(FAMILIES["llama"])
    config.rope_parameters = rope
    assert pads_exactly(config) == exact


def test_segments_cut_where_someone_joins_or_leaves() -> None:
    assert segments([range(1, 5), range(3, 5), range(1, 2)]) == [
        (range(1, 2), [0, 2]),
        (range(2, 3), [0]),
        (range(3, 5), [0, 1]),
    ]
    assert segments([range(0, 1), range(2, 3)]) == [(range(0, 1), [0]), (range(2, 3), [1])]
