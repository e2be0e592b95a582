"""What a task makes of a client's rows: who is in a class, and what a model reads and predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from ..errors import FieldError, UnsupportedModelError
from ..profiler.profile import Task
from .batches import Batcher
from .data import TextData
from .image_batches import ImageBatcher
from .token_batches import NextTokenBatcher, TagBatcher

BATCHERS = {
    "classification": Batcher,
    "token-classification": TagBatcher,
    "causal-lm": NextTokenBatcher,
}


def batcher_for(task: Task, folder: Path, backbone: Any, length: int, data: TextData) -> Batcher:
    """Reads the rows of `data` for `backbone`, whose tokenizer or image settings are in `folder`.

    Raises UnsupportedModelError for a tokenizer that the task can't use.
    """
    if backbone.main_input_name == "pixel_values":
        return ImageBatcher(folder, backbone.config, Path(data.name).parent)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if task == "token-classification" and not tokenizer.is_fast:
        raise UnsupportedModelError(
            f"{folder}: its tokenizer does not tell which word a token is of",
            "choose a checkpoint with tokenizer.json",
        )
    return BATCHERS[task](tokenizer, length)


def with_tags(data: TextData, task: Task) -> TextData:
    """For a class of each token, a row's label is a tag for each of its words: they become its
    tags, and the row itself has no class. Raises FieldError where words and tags don't pair up."""
    if task != "token-classification":
        return data
    rows = []
    for number, row in enumerate(data.rows, 1):
        words, tags = row.text.split(), tuple(row.label.split())
        if len(words) != len(tags):
            raise FieldError(
                f"{data.name}: row {number}: {len(words)} words and {len(tags)} tags",
                "for token-classification, text holds words and label as many tags, with spaces "
                "between them",
            )
        rows.append(replace(row, label="", tags=tags))
    return replace(data, rows=tuple(rows))


def classes_of(data: TextData, task: Task, row_classes: tuple[str, ...]) -> tuple[str, ...]:
    """What the head tells apart: the tags of tokens, or the classes of rows; nothing for the next
    token, where a row's label only says who gets the row."""
    if task == "causal-lm":
        return ()
    if task == "token-classification":
        return tuple(sorted({tag for row in data.rows for tag in row.tags}))
    return row_classes
