"""Which layers LoRA adapts by default, and what a LoraLinear computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.lora import (
    SCALE,
    LoraLinear,
    activate,
    default_targets,
    lora_linears,
    new_adapter,
    wrap_linears,
)
from flexp.errors import UnsupportedModelError
from torch import nn
from transformers.pytorch_utils import Conv1D


def blocks_of(config: Any) -> nn.ModuleList:
    with torch.device("meta"):
        return block_stack(transformers.AutoModel.from_config(config))[1]


@pytest.mark.parametrize(
    ("config", "layers_per_block"),
    [
        (transformers.BertConfig(num_hidden_layers=2), 2),
        (transformers.BloomConfig(n_layer=2), 1),
        (transformers.CLIPVisionConfig(num_hidden_layers=2), 2),
        (transformers.DebertaV2Config(num_hidden_layers=2), 2),
        (transformers.DeiTConfig(num_hidden_layers=2), 2),
        (transformers.Dinov2Config(num_hidden_layers=2), 2),
        (transformers.DistilBertConfig(n_layers=2), 2),
        (transformers.ElectraConfig(num_hidden_layers=2), 2),
        (transformers.FalconConfig(num_hidden_layers=2), 1),
        (transformers.Gemma2Config(num_hidden_layers=2), 2),
        (transformers.Gemma3TextConfig(num_hidden_layers=2), 2),
        (transformers.GPT2Config(n_layer=2), 1),
        (transformers.GPTNeoConfig(num_layers=2, attention_types=[[["global", "local"], 1]]), 2),
        (transformers.GPTNeoXConfig(num_hidden_layers=2), 1),
        (transformers.LlamaConfig(num_hidden_layers=2), 2),
        (transformers.MistralConfig(num_hidden_layers=2), 2),
        (transformers.MixtralConfig(num_hidden_layers=2), 2),
        (transformers.ModernBertConfig(num_hidden_layers=2), 1),
        (transformers.OPTConfig(num_hidden_layers=2), 2),
        (transformers.Phi3Config(num_hidden_layers=2), 1),
        (transformers.Qwen2Config(num_hidden_layers=2), 2),
        (transformers.Qwen3Config(num_hidden_layers=2), 2),
        (transformers.Qwen3MoeConfig(num_hidden_layers=2), 2),
        (transformers.RobertaConfig(num_hidden_layers=2), 2),
        (transformers.ViTConfig(num_hidden_layers=2), 2),
    ],
)
def test_default_targets_are_layers_of_the_model(config: Any, layers_per_block: int) -> None:
    blocks = blocks_of(config)
    wrap_linears(blocks, default_targets(config.model_type, blocks))
    assert len(lora_linears(blocks, range(2))) == 2 * layers_per_block


def test_targets_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(UnsupportedModelError, match="no layer is named nothing") as caught:
        wrap_linears(blocks_of(transformers.BertConfig(num_hidden_layers=1)), ("nothing",))
    assert "query" in caught.value.hint


@pytest.mark.parametrize("base", [nn.Linear(6, 5), Conv1D(5, 6)])
def test_the_output_is_the_base_plus_every_active_pair(base: nn.Module) -> None:
    linear = LoraLinear(base)
    linears = {"0.q": linear}
    adapters = [new_adapter(linears, rank=2).seed(seed) for seed in (1, 2)]
    x = torch.randn(3, 6)
    activate(linears, *adapters)
    assert torch.equal(linear(x), base(x))  # B starts at zero
    expected = base(x)
    for adapter in adapters:
        pair = adapter.pairs["0.q"]
        nn.init.normal_(pair.B)
        expected = expected + SCALE * x @ pair.A.T @ pair.B.T
    torch.testing.assert_close(linear(x), expected)


def test_every_owner_of_a_layer_starts_alike() -> None:
    linears = {path: LoraLinear(nn.Linear(6, 5)) for path in ("0.q", "1.q")}
    one, other = (new_adapter(linears, rank=2).seed(3) for _ in range(2))
    assert all(torch.equal(one.tensors()[name], tensor) for name, tensor in other.tensors().items())
    assert not torch.equal(one.pairs["0.q"].A, one.pairs["1.q"].A)
