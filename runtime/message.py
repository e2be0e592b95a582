"""One message format for everything that crosses the wire, embedded or networked.

A message is a blob in the layout of safetensors: a JSON header with kind, client, step, part,
shapes and types, then the raw tensors. Nothing in it is executed when it is read, and nothing is
allocated before the header has been held against the bytes and the receiver's bounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor

from ..errors import RunError
from . import blob
from .bounds import ANYTHING, MASK, Bounds, check_entries
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
    (attention mask, position ids); `shapes` are the shapes of inputs that stay on the device.

    A step may come in parts, micro-batches of its batch: (client, step, part) names a message. What
    the parts add to a gradient adds up to the batch's, whatever order they arrive in: BACKWARD
    carries a gradient of the batch's loss; the answer to LABELS is `share` times the part's own
    mean loss, and the gradient of that. A step's update is applied once, when all parts are there.
    """

    kind: Kind
    client: str
    step: int
    part: int = 0
    parts: int = 1
    share: float = 1.0
    """Of the batch's loss that is this part's: its rows, or tokens that count, over the batch's.
    With LABELS only."""
    hidden: Tensor
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    shapes: Mapping[str, list[int]] = field(default_factory=dict)
    labels: Tensor | None = None
    """[B], or [B, T] where every token has one; with LABELS only."""
    loss: float | None = None
    """Of the step, with the GRADIENT that answers LABELS."""
    codec: str | None = None
    """How `hidden` was written; None in a message that was not read from bytes."""


_FIELDS = {"kind", "client", "step", "part", "codec", "shapes"}
_OWN_FIELDS = {Kind.LABELS: {"share"}, Kind.GRADIENT: {"loss"}}
"""Fields that one kind may have beside."""
MAX_CLIENT_LENGTH = 64
MAX_PARTS = 1024
MAX_STEP = 2**53


def encode(message: Message, codec: str) -> bytes:
    payload, scale = CODECS[codec].encode(message.hidden.detach())
    tensors = {"hidden": payload}
    if scale is not None:
        tensors["scale"] = scale
    tensors |= {MASK + name: mask for name, mask in message.masks.items()}
    header = {
        "kind": message.kind.value,
        "client": message.client,
        "step": str(message.step),
        "part": f"{message.part}/{message.parts}",
        "codec": codec,
        "shapes": json.dumps(message.shapes, separators=(",", ":")),
    }
    if message.labels is not None:
        tensors["labels"] = message.labels
        header["share"] = repr(message.share)
    if message.loss is not None:
        header["loss"] = repr(message.loss)
    return blob.pack(tensors, header)


def decode(data: bytes, bounds: Bounds = ANYTHING) -> Message:
    """Raises RunError for anything that is not a whole, well-formed message within `bounds`."""
    try:
        bounds.check_size(len(data))
        header, entries = blob.unpack(data)
        kind, codec = Kind(header["kind"]), CODECS[header["codec"]]
        if unknown := set(header) - _FIELDS - _OWN_FIELDS.get(kind, set()):
            raise ValueError(f"unknown fields {str(sorted(unknown))[:80]}")
        client, step = _client(header["client"]), _whole_number(header["step"], MAX_STEP)
        part, parts = _part(header["part"])
        loss = float(header["loss"]) if "loss" in header else None
        shapes = _shapes(header["shapes"])
        check_entries(kind.value, codec, entries, shapes, bounds)
        tensors = {name: blob.load(data, entry) for name, entry in entries.items()}
        return Message(
            kind=kind,
            client=client,
            step=step,
            part=part,
            parts=parts,
            share=_share(header.get("share", "1.0")),
            hidden=codec.decode(tensors.pop("hidden"), tensors.pop("scale", None)),
            labels=tensors.pop("labels", None),
            masks={name.removeprefix(MASK): mask for name, mask in tensors.items()},
            shapes=shapes,
            loss=loss,
            codec=header["codec"],
        )
    except KeyError as error:
        raise RunError(f"a message on the wire could not be read: no {error}") from error
    except ValueError as error:
        raise RunError(f"a message on the wire could not be read: {error}") from error


def _client(name: str) -> str:
    if not 0 < len(name) <= MAX_CLIENT_LENGTH:
        raise ValueError(f"a client's name of {len(name)} characters")
    return name


def _whole_number(text: str, below: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < below):
        raise ValueError(f"{text[:40]!r} is no whole number below {below}")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    """Index and count, as in "0/4"."""
    index, _, count = text.partition("/")
    parts = _whole_number(count, MAX_PARTS + 1)
    return _whole_number(index, parts), parts


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {text[:40]!r} of the loss")
    return share


def _shapes(text: str) -> dict[str, list[int]]:
    try:
        shapes = json.loads(text)
    except RecursionError:
        raise ValueError("shapes of too many levels") from None
    if not isinstance(shapes, dict):
        raise ValueError("shapes that are no mapping")
    return {name: list(blob.sizes(shape)) for name, shape in shapes.items()}
