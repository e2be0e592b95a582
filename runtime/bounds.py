"""What a message may hold: which tensors a kind has, of which types and shapes, and how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch

from .blob import MAX_HEADER_BYTES, Entry
from .codecs import Codec

PUBLIC_INPUTS = ("attention_mask", "position_ids")
"""Model inputs that the server needs and that say nothing of the content but its length."""
PRIVATE_INPUTS = ("input_ids", "token_type_ids", "pixel_values")
"""Model inputs that stay on the device: only their shapes cross the wire."""
MASK = "mask."
"""What the name of a public input begins with in a message."""
ASKING = ("forward", "predict", "labels")
"""Kinds that bring inputs: masks and shapes."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Caps on what a message declares, held against its header before anything is allocated."""

    message_bytes: int
    batch: int | None = None
    """Rows; none: as many as the bytes hold."""
    length: int | None = None
    """Tokens of a row."""
    width: int | None = None
    """Elements of a token, or logits."""

    def check_size(self, size_bytes: int) -> None:
        if size_bytes > self.message_bytes:
            raise ValueError(f"{size_bytes} bytes; at most {self.message_bytes} are read")


ANYTHING = Bounds(message_bytes=2**30)
"""For a receiver that knows no plan: 1 GiB."""


def token_bounds(*, batch: int, length: int, hidden_size: int, outputs: int) -> Bounds:
    """For models of text: `batch` rows of `length` tokens, `outputs` logits a row or token.

    The largest message is one in float32, with labels, mask, position ids (8 bytes a token each)
    and a scale: batch · length · (4 · max(hidden_size, outputs) + 28) bytes and the header.
    """
    width = max(hidden_size, outputs)
    largest_bytes = batch * length * (4 * width + 28) + MAX_HEADER_BYTES
    return Bounds(message_bytes=largest_bytes, batch=batch, length=length, width=width)


def check_entries(
    kind: str,
    codec: Codec,
    entries: Mapping[str, Entry],
    shapes: Mapping[str, list[int]],
    bounds: Bounds,
) -> None:
    """ValueError unless the declared tensors, and the shapes of private inputs, are those of a
    message of this kind within `bounds`."""
    hidden = entries["hidden"]
    _check_hidden(kind, hidden, codec, bounds)
    if codec.scaled:
        _expect("scale", entries["scale"], (torch.float32,), [(*hidden.shape[:-1], 1)])
    rows, tokens = hidden.shape[0], hidden.shape[1]
    if kind == "labels":
        labels = entries["labels"]
        _expect("labels", labels, (torch.int64,), [(rows,), (rows, tokens)])
    allowed = {"hidden", *(["scale"] if codec.scaled else [])}
    allowed |= {"labels"} if kind == "labels" else set()
    if kind in ASKING:
        for name in PUBLIC_INPUTS:
            if entry := entries.get(MASK + name):
                _expect(name, entry, (torch.uint8, torch.int64), [(rows, tokens), (1, tokens)])
                allowed.add(MASK + name)
        for name, shape in shapes.items():
            _check_private(name, shape, rows, tokens, bounds)
    elif shapes:
        raise ValueError(f"shapes in a message of kind {kind!r}")
    if unknown := set(entries) - allowed:
        raise ValueError(f"tensors {str(sorted(unknown))[:80]} in a message of kind {kind!r}")


def _check_hidden(kind: str, hidden: Entry, codec: Codec, bounds: Bounds) -> None:
    ranks = (2, 3) if kind == "logits" else (3,)
    if hidden.dtype != codec.dtype or len(hidden.shape) not in ranks:
        raise ValueError(f"hidden of type {hidden.dtype} and shape {list(hidden.shape)}")
    batch, *middle, width = hidden.shape
    length = middle[0] if middle else 1
    for name, size, cap in (
        ("rows", batch, bounds.batch),
        ("tokens a row", length, bounds.length),
        ("elements a token", width, bounds.width),
    ):
        if cap is not None and size > cap:
            raise ValueError(f"{size} {name}; at most {cap} are expected")


def _expect(
    name: str, entry: Entry, types: tuple[torch.dtype, ...], shapes: Sequence[tuple[int, ...]]
) -> None:
    if entry.dtype not in types or entry.shape not in shapes:
        raise ValueError(f"{name} of type {entry.dtype} and shape {list(entry.shape)}")


def _check_private(name: str, shape: list[int], rows: int, tokens: int, bounds: Bounds) -> None:
    """The receiver makes zeros of this shape."""
    if name not in PRIVATE_INPUTS:
        raise ValueError(f"an unknown input {name[:40]!r}")
    fits = shape[0] == rows if name == "pixel_values" else shape == [rows, tokens]
    if not fits or 8 * prod(shape) > bounds.message_bytes:
        raise ValueError(f"{name} of shape {shape} with {rows} rows of {tokens} tokens")
