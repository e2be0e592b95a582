"""Rows with a label for each token: the next token, or the tag of its word."""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalog.models.heads import UNLABELLED
from .batches import Batcher, Encoded
from .data import Row


class _TokenBatcher(Batcher):
    def targets(self, labels: list[list[int]], inputs: dict[str, Tensor]) -> Tensor:
        """Labels [B, T]; padding, on whichever side, has none."""
        targets_BT = torch.full(inputs["input_ids"].shape, UNLABELLED)
        for row, own in enumerate(labels):
            targets_BT[row, inputs["attention_mask"][row].bool()] = torch.tensor(own)
        return targets_BT


class NextTokenBatcher(_TokenBatcher):
    """A row's labels are its tokens: the model's own loss predicts each from those before it."""

    def encode(self, rows: tuple[Row, ...], classes: tuple[str, ...]) -> Encoded:
        ids = tuple(self.token_ids([row.text for row in rows]))
        return Encoded(ids=ids, labels=ids)


class TagBatcher(_TokenBatcher):
    """A word's first token has the word's tag, its others have none."""

    def encode(self, rows: tuple[Row, ...], classes: tuple[str, ...]) -> Encoded:
        index = {tag: number for number, tag in enumerate(classes)}
        words = [row.text.split() for row in rows]
        encoded = self.tokenizer(
            words, is_split_into_words=True, truncation=True, max_length=self.length
        )
        labels = []
        for number, row in enumerate(rows):
            of_word = encoded.word_ids(number)
            first = [
                word != before for word, before in zip(of_word, [None, *of_word], strict=False)
            ]
            labels.append(
                [
                    index[row.tags[word]] if word is not None and begins else UNLABELLED
                    for word, begins in zip(of_word, first, strict=True)
                ]
            )
        return Encoded(ids=tuple(encoded["input_ids"]), labels=tuple(labels))
