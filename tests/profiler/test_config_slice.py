from __future__ import annotations

import pytest
from flexp.errors import UnsupportedModelError
from flexp.profiler.config_slice import block_kinds, blocks_to_measure, with_blocks
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    BertConfig,
    DeepseekV3Config,
    Ernie4_5_MoeConfig,
    GPT2Config,
    MobileViTConfig,
    ModernBertConfig,
    Qwen3MoeConfig,
)


@pytest.mark.parametrize(
    ("kinds", "measured"),
    [("a", [0]), ("aa", [0, 1]), ("aaaa", [0, 1]), ("abbb", [0, 1]), ("abbabb", [0, 1, 3])],
)
def test_which_blocks_are_measured(kinds: str, measured: list[int]) -> None:
    assert blocks_to_measure(kinds) == measured


@given(st.text("abc", min_size=1, max_size=30))
def test_every_later_block_has_one_representative(kinds: str) -> None:
    measured = blocks_to_measure(kinds)
    assert measured[0] == 0
    assert sorted(kinds[index] for index in measured[1:]) == sorted(set(kinds[1:]))


def test_equal_blocks_are_of_one_kind() -> None:
    assert len(set(block_kinds(BertConfig()))) == 1
    assert len(block_kinds(GPT2Config(n_layer=5))) == 5


def test_layer_types_are_cut_with_the_blocks() -> None:
    config = ModernBertConfig(num_hidden_layers=7)
    kinds = block_kinds(config)
    assert kinds[0] == kinds[3] == kinds[6] != kinds[1] == kinds[2]
    short = with_blocks(config, [0, 1, 3, 3])
    assert short.num_hidden_layers == 4
    assert block_kinds(short) == [kinds[0], kinds[1], kinds[3], kinds[3]]
    assert config.num_hidden_layers == 7


def test_dense_blocks_of_a_mixture() -> None:
    config = DeepseekV3Config(num_hidden_layers=6, first_k_dense_replace=3)
    kinds = block_kinds(config)
    assert kinds[0] == kinds[2] != kinds[3] == kinds[5]
    assert block_kinds(with_blocks(config, [0, 1, 3])) == [kinds[0], kinds[1], kinds[3]]


@pytest.mark.parametrize("step", [1, 2])
def test_mixtures_by_index(step: int) -> None:
    config = Qwen3MoeConfig(num_hidden_layers=6, decoder_sparse_step=step, mlp_only_layers=[3])
    kinds = block_kinds(config)
    dense = [step == 2, False, step == 2, True, step == 2, False]
    assert [kind == kinds[3] for kind in kinds] == dense
    assert block_kinds(with_blocks(config, [1, 3, 5, 5])) == [kinds[i] for i in (1, 3, 5, 5)]


def test_a_stack_of_several_widths_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="mobilevit has no single num_hidden_layers"):
        block_kinds(MobileViTConfig())


def test_blocks_that_differ_by_a_rule_that_is_not_known_are_refused() -> None:
    config = Ernie4_5_MoeConfig(num_hidden_layers=4, moe_layer_start_index=2)
    with pytest.raises(UnsupportedModelError, match="ernie4_5_moe: block 2 differs from block 1"):
        block_kinds(config)
