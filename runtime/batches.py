"""A client's rows as model inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from .data import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What the model reads of every row, token ids cut at the planned length, and what it predicts:
    a class index, or one for each token."""

    ids: tuple[list[Any], ...]
    labels: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.labels)


class Batcher:
    """Tokenises and pads. Batches are padded to their longest row: short texts cost fewer bytes
    than the plan, never more."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, length: int) -> None:
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer = tokenizer
        self.length: int | None = length
        """Tokens of a row; None for images."""

    def encode(self, rows: tuple[Row, ...], classes: tuple[str, ...]) -> Encoded:
        index = {label: number for number, label in enumerate(classes)}
        return Encoded(
            ids=tuple(self.token_ids([row.text for row in rows])),
            labels=tuple(index[row.label] for row in rows),
        )

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, truncation=True, max_length=self.length)["input_ids"]

    def inputs(self, ids: list[list[int]]) -> dict[str, Tensor]:
        padded = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        return {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"]}

    def batch(self, data: Encoded, indices: np.ndarray) -> Batch:
        inputs = self.inputs([data.ids[i] for i in indices])
        return inputs, self.targets([data.labels[i] for i in indices], inputs)

    def targets(self, labels: list[Any], inputs: dict[str, Tensor]) -> Tensor:
        """Labels [B]."""
        return torch.tensor(labels)

    def in_order(self, data: Encoded, size: int) -> Iterator[Batch]:
        for start in range(0, len(data), size):
            yield self.batch(data, np.arange(start, min(start + size, len(data))))


def batch_indices(rows: int, size: int, step: int, seed: int, client: str) -> np.ndarray:
    """The rows of a client's step: a permutation per epoch from (seed, client, epoch), so that a
    resumed run reads what an uninterrupted one would."""
    per_epoch = -(-rows // size)
    epoch, position = divmod(step, per_epoch)
    random = np.random.default_rng([seed, crc32(client.encode()), epoch])
    return random.permutation(rows)[position * size : (position + 1) * size]
