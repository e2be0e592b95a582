"""Small random models of real architectures, and their checkpoints on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from flexp.catalog.models.build import build_model
from flexp.catalog.models.heads import TaskModel
from flexp.profiler.profile import ProfileSettings

VOCABULARY, HIDDEN, BLOCKS = 97, 32, 4

_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def small_config(family: str) -> transformers.PretrainedConfig:
    if family == "bert":
        return transformers.BertConfig(**_SHAPE)
    if family == "gpt2":
        shape = {"n_embd": HIDDEN, "n_layer": BLOCKS, "n_head": 4, "n_positions": 64}
        return transformers.GPT2Config(vocab_size=VOCABULARY, pad_token_id=0, **shape)
    return transformers.LlamaConfig(**_SHAPE, num_key_value_heads=2, pad_token_id=0)


def small_model(family: str, method: str, seed: int = 0) -> TaskModel:
    """Random weights everywhere, adapters included, so that every gradient is non-zero."""
    torch.manual_seed(seed)
    settings = ProfileSettings(labels=3, method=method, lora_rank=4)
    model = build_model(small_config(family), settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def random_batch(seed: int, padding: str = "right") -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    if padding == "right":
        mask[0, 8:] = 0
        mask[2, 5:] = 0
    elif padding == "left":
        mask[0, :4] = 0
        mask[2, :7] = 0
    labels = torch.randint(0, 3, (3,), generator=generator)
    return {"input_ids": ids * mask, "attention_mask": mask}, labels


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """family -> a checkpoint folder with weights and a word tokenizer."""
    folders: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in folders:
            folder = tmp_path_factory.mktemp(family)
            torch.manual_seed(1)
            transformers.AutoModel.from_config(small_config(family)).save_pretrained(folder)
            word_tokenizer().save_pretrained(folder)
            folders[family] = folder
        return folders[family]

    return make


def word_tokenizer() -> Any:
    """Splits on spaces: "w7 w8" -> [7 + 3, 8 + 3]."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {"[PAD]": 0, "[UNK]": 1, "[SEP]": 2}
    words |= {f"w{number}": number + 3 for number in range(VOCABULARY - 3)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
