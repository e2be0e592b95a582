"""Small configurations of three families, with what their figures are computed from by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import BertConfig, GPT2Config, LlamaConfig

BLOCKS = 6
HIDDEN, HEADS, INNER, VOCABULARY = 64, 4, 160, 500
KEYS = 32
"""Width of llama's keys and values: two heads of 16."""


@dataclass(frozen=True)
class Linear:
    inputs: int
    outputs: int
    adapted: bool = False
    """Has LoRA adapters by default."""
    reads_block_input: bool = False
    """Its input comes from the block's input with no trainable layer between."""
    leads_to_adapter_only: bool = False


@dataclass(frozen=True)
class Family:
    config: Any
    linears: tuple[Linear, ...]


_OUT = Linear(HIDDEN, HIDDEN)
FAMILIES = {
    "gpt2": Family(
        GPT2Config(
            n_embd=HIDDEN,
            n_layer=BLOCKS,
            n_head=HEADS,
            n_inner=INNER,
            vocab_size=VOCABULARY,
            n_positions=64,
        ),
        (
            Linear(HIDDEN, 3 * HIDDEN, adapted=True, reads_block_input=True),
            _OUT,
            Linear(HIDDEN, INNER),
            Linear(INNER, HIDDEN),
        ),
    ),
    "bert": Family(
        BertConfig(
            hidden_size=HIDDEN,
            num_hidden_layers=BLOCKS,
            num_attention_heads=HEADS,
            intermediate_size=INNER,
            vocab_size=VOCABULARY,
            max_position_embeddings=64,
        ),
        (
            Linear(HIDDEN, HIDDEN, adapted=True, reads_block_input=True),
            Linear(HIDDEN, HIDDEN, reads_block_input=True),
            Linear(HIDDEN, HIDDEN, adapted=True, reads_block_input=True),
            _OUT,
            Linear(HIDDEN, INNER),
            Linear(INNER, HIDDEN),
        ),
    ),
    "llama": Family(
        LlamaConfig(
            hidden_size=HIDDEN,
            num_hidden_layers=BLOCKS,
            num_attention_heads=HEADS,
            num_key_value_heads=2,
            intermediate_size=INNER,
            vocab_size=VOCABULARY,
            max_position_embeddings=64,
        ),
        (
            Linear(HIDDEN, HIDDEN, adapted=True, reads_block_input=True),
            Linear(HIDDEN, KEYS, reads_block_input=True),
            Linear(HIDDEN, KEYS, adapted=True, reads_block_input=True),
            _OUT,
            Linear(HIDDEN, INNER),
            Linear(HIDDEN, INNER),
            Linear(INNER, HIDDEN),
        ),
    ),
}
