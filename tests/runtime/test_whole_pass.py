"""Blocks that compute with weights from elsewhere are the blocks themselves, in every family."""

from __future__ import annotations

import copy

import pytest
import torch
from flexp.catalog.models.whole import whole_weights
from flexp.runtime.batching import Crossing
from flexp.runtime.middle import Middle
from flexp.runtime.versions import live
from flexp.runtime.whole_pass import WholePass

from .families import BLOCKS, FAMILIES, VISION, batch_of, whole_model

SPAN = range(2, BLOCKS)


@pytest.mark.parametrize("family", FAMILIES)
def test_output_and_every_gradient(family: str) -> None:
    task = "image-classification" if family in VISION else "classification"
    model = whole_model(family, task)
    inputs, _ = batch_of(model, task, "right")
    masks = {name: tensor for name, tensor in inputs.items() if name == "attention_mask"}
    shapes = {name: list(tensor.shape) for name, tensor in inputs.items() if name not in masks}
    with torch.no_grad():
        shape = model.backbone(**inputs).last_hidden_state.shape
    random = torch.Generator().manual_seed(0)
    width = model.backbone.config.hidden_size
    entry, gradient = (
        torch.randn(*shape[:-1], width, generator=random, requires_grad=number == 0)
        for number in range(2)
    )
    middle = Middle(copy.deepcopy(model.backbone))
    calls = middle.recipe(masks, shapes)
    expected = middle.run(entry, SPAN, calls)
    expected.backward(gradient)
    blocks = middle.blocks
    own = whole_weights(blocks, SPAN, torch.Tensor.clone)
    for block in blocks:  # nothing is left of the model's own
        for weight in block.parameters():
            weight.data = torch.zeros_like(weight)
    crossing = Crossing(
        entry_BTH=entry.detach(), span=SPAN, masks=masks, shapes=shapes, adapters=(live(own),)
    )
    one = WholePass(middle, crossing, training=True)
    assert torch.equal(one.outputs[0], expected)
    found = one.gradients({0: gradient})[0]
    assert torch.equal(found.entry_BTH, entry.grad)
    (weights,) = found.adapters
    assert weights.keys() == own.weights.keys() and found.finite
    for name, (of_weight,) in weights.items():
        index, _, rest = name.partition(".")
        assert torch.equal(of_weight, blocks[int(index)].get_parameter(rest).grad)
