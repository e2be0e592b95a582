from __future__ import annotations

import pytest
from flexp.errors import UnsupportedModelError
from flexp.profiler.config_slice import block_kinds, blocks_to_measure, with_blocks
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, DeepseekV3Config, GPT2Config, ModernBertConfig, ResNetConfig


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


def test_a_stack_of_several_widths_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="resnet has no single num_hidden_layers"):
        block_kinds(ResNetConfig())
