"""A server's masks and rotary inputs: kept by all that they depend on, and no more than fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flexp.runtime.middle import Middle
from flexp.runtime.recipes import Recipes, recipe_key
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .families import batch_of, whole_model

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
POSITIONS = torch.arange(4)[None]


def tensors(recipe: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(recipe) if isinstance(leaf, Tensor)]


def ask(middle: Middle, shape: tuple[int, int] = (2, 4), **masks: Tensor) -> Any:
    return middle.recipe(masks, {"input_ids": list(shape)})


@pytest.mark.parametrize("family", ["llama", "bert", "modernbert", "bloom"])
def test_the_same_inputs_are_not_worked_out_again(family: str) -> None:
    middle = Middle(whole_model(family, "classification").backbone)
    first = ask(middle, attention_mask=MASK)
    assert ask(middle, attention_mask=MASK.clone()) is first


@pytest.mark.parametrize(
    ("shape", "masks"),
    [
        ((2, 4), {}),
        ((2, 4), {"attention_mask": MASK.flip(0)}),
        ((2, 4), {"attention_mask": MASK.bool()}),
        ((2, 4), {"attention_mask": MASK, "position_ids": POSITIONS}),
        ((2, 4), {"attention_mask": MASK, "position_ids": POSITIONS + 3}),
        ((1, 4), {"attention_mask": MASK[:1]}),
        ((2, 3), {"attention_mask": MASK[:, :3]}),
    ],
)
def test_other_inputs_are(shape: tuple[int, int], masks: dict[str, Tensor]) -> None:
    middle = Middle(whole_model("llama", "causal-lm").backbone)
    fresh = Middle(whole_model("llama", "causal-lm").backbone)
    kept = ask(middle, attention_mask=MASK)
    found = ask(middle, shape, **masks)
    assert found is not kept
    for one, other in zip(tensors(found), tensors(ask(fresh, shape, **masks)), strict=True):
        assert torch.equal(one, other)


def test_another_attention_or_type_has_another_recipe() -> None:
    middle = Middle(whole_model("llama", "causal-lm").backbone)
    sdpa = ask(middle, attention_mask=MASK)
    middle.backbone.set_attn_implementation("eager")
    eager = ask(middle, attention_mask=MASK)
    middle.backbone.to(torch.bfloat16)
    assert len({id(recipe) for recipe in (sdpa, eager, ask(middle, attention_mask=MASK))}) == 3


@pytest.mark.parametrize("family", ["gemma3", "deberta-v2", "falcon-rw"])
def test_blocks_leave_a_recipe_as_it_is(family: str) -> None:
    model = whole_model(family, "classification")
    middle = Middle(model.backbone)
    inputs, _ = batch_of(model, "classification", "right")
    calls = middle.recipe(
        {"attention_mask": inputs["attention_mask"]}, {"input_ids": list(inputs["input_ids"].shape)}
    )
    before = [tensor.clone() for tensor in tensors(calls)]
    h_BTH = torch.randn(*inputs["input_ids"].shape, 32, requires_grad=True)
    middle.run(h_BTH, range(1, 5), calls).sum().backward()
    assert before
    for tensor, was in zip(tensors(calls), before, strict=True):
        assert torch.equal(tensor, was)


def recipe_of(elements: int) -> Any:
    shared = torch.zeros(elements)
    return [((shared,), {}), ((), {"mask": shared[: elements // 2]})]


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    recipes = Recipes(limit_bytes=100 * 4)
    for name in ("a", "b"):
        recipes.put(recipe_key({}, {name: [1]}), recipe_of(40))
    assert recipes.get(recipe_key({}, {"a": [1]})) is not None
    recipes.put(recipe_key({}, {"c": [1]}), recipe_of(40))
    kept = [name for name in "abc" if recipes.get(recipe_key({}, {name: [1]})) is not None]
    assert (kept, recipes.held_bytes) == (["a", "c"], 2 * 40 * 4)
    recipes.put(recipe_key({}, {"d": [1]}), recipe_of(101))
    assert recipes.get(recipe_key({}, {"d": [1]})) is None
