"""One message format for everything that crosses the wire, embedded or networked.

A message is a safetensors blob: a JSON header with kind, client, step, shapes and types, then the
raw tensors. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ..errors import RunError
from .codecs import CODECS


class Kind(StrEnum):
    FORWARD = "forward"
    """client -> server: activation of the client's last bottom block, in training."""
    BACKWARD = "backward"
    """client -> server: gradient of the loss by the server's output."""
    PREDICT = "predict"
    """client -> server: as FORWARD, with nothing kept for a backward pass."""
    LABELS = "labels"
    """client -> server: as FORWARD, with the labels, for a head on the server. The whole step is
    one round trip: GRADIENT comes back, and the loss with it."""
    ACTIVATION = "activation"
    """server -> client: output of the server's last block."""
    GRADIENT = "gradient"
    """server -> client: gradient of the loss by the client's activation."""
    LOGITS = "logits"
    """server -> client: answer to PREDICT where the head is the server's."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """`hidden` is an activation or a gradient [B, T, H], or logits; `masks` are public model inputs
    (attention mask, position ids); `shapes` are the shapes of inputs that stay on the device."""

    kind: Kind
    client: str
    step: int
    hidden: Tensor
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    shapes: Mapping[str, list[int]] = field(default_factory=dict)
    labels: Tensor | None = None
    """[B], or [B, T] where every token has one; with LABELS only."""
    loss: float | None = None
    """Of the step, with the GRADIENT that answers LABELS."""


def encode(message: Message, codec: str) -> bytes:
    payload, scale = CODECS[codec].encode(message.hidden.detach())
    tensors = {"hidden": payload.contiguous()}
    if scale is not None:
        tensors["scale"] = scale.contiguous()
    for name, mask in message.masks.items():
        tensors[f"mask.{name}"] = mask.contiguous()
    if message.labels is not None:
        tensors["labels"] = message.labels.contiguous()
    header = {
        "kind": message.kind.value,
        "client": message.client,
        "step": str(message.step),
        "codec": codec,
        "shapes": json.dumps(message.shapes, separators=(",", ":")),
    }
    if message.loss is not None:
        header["loss"] = repr(message.loss)
    return safetensors.torch.save(tensors, metadata=header)


def decode(data: bytes) -> Message:
    """Raises RunError for anything that is not a whole, well-formed message."""
    try:
        tensors = safetensors.torch.load(data)
        header = read_header(data)
        payload = tensors.pop("hidden")
        hidden = CODECS[header["codec"]].decode(payload, tensors.pop("scale", None))
        labels = tensors.pop("labels", None)
        return Message(
            kind=Kind(header["kind"]),
            client=header["client"],
            step=int(header["step"]),
            hidden=hidden,
            masks={name.removeprefix("mask."): tensor for name, tensor in tensors.items()},
            shapes=json.loads(header["shapes"]),
            labels=labels,
            loss=float(header["loss"]) if "loss" in header else None,
        )
    except (SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"a message on the wire could not be read: {error!r}") from error


def read_header(data: bytes) -> dict[str, Any]:
    """The metadata of a safetensors blob: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]
