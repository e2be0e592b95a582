"""Named tensors as bytes, in the layout of a safetensors file, and a reader that trusts nothing.

Eight bytes give the header's length (little endian); the header is JSON: for each tensor its dtype,
shape and byte range, and text under `__metadata__`; then come the raw tensors without gaps. The
reader takes only what adds up and allocates no tensor before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I8": torch.int8,
    "U8": torch.uint8,
}
"""Every type that crosses the wire, by its name in the header."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
MAX_HEADER_BYTES = 4096
MAX_DIMENSIONS = 4


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A tensor as the header declares it: checked, not yet allocated."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    """Of its first byte, in the whole blob."""

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def end(self) -> int:
        return self.start + self.elements * self.dtype.itemsize


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """KeyError for a tensor whose type does not cross the wire."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    position, raw = 0, []
    for name, tensor in tensors.items():
        end = position + tensor.numel() * tensor.itemsize
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        raw.append(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, *raw))


def unpack(data: bytes) -> tuple[dict[str, str], dict[str, Entry]]:
    """Metadata and entries of a blob whose header fits its length; ValueError for any other."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > MAX_HEADER_BYTES or 8 + length > len(data):
        raise ValueError(
            f"a header of {length} bytes in {len(data)}; at most {MAX_HEADER_BYTES} are read"
        )
    try:
        header = json.loads(data[8 : 8 + length])
    except RecursionError:
        raise ValueError("a header of too many levels") from None
    if not isinstance(header, dict):
        raise ValueError("a header that is no mapping")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("metadata that is no mapping of text")
    entries, position = {}, 8 + length
    for name, declared in header.items():
        entries[name] = _entry(name, declared, position, 8 + length)
        position = entries[name].end
    if position != len(data):
        raise ValueError(f"tensors of {position - 8 - length} bytes in {len(data) - 8 - length}")
    return metadata, entries


def _entry(name: str, declared: Any, start: int, origin: int) -> Entry:
    """The tensor that must begin at `start`; byte ranges count from `origin`."""
    if not isinstance(declared, dict) or set(declared) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {name[:40]!r} without dtype, shape and data_offsets alone")
    dtype, shape, offsets = (declared[key] for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"tensor {name[:40]!r} of type {str(dtype)[:40]!r}")
    entry = Entry(dtype=DTYPES[dtype], shape=sizes(shape), start=start)
    if offsets != [start - origin, entry.end - origin]:
        raise ValueError(f"tensor {name[:40]!r} of shape {shape} at other bytes")
    return entry


def sizes(shape: Any) -> tuple[int, ...]:
    """A declared shape, of one to four positive sizes; ValueError for any other."""
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= MAX_DIMENSIONS
        or not all(type(size) is int and 0 < size < 2**40 for size in shape)
    ):
        raise ValueError(f"{str(shape)[:40]} is no shape of 1 to {MAX_DIMENSIONS} sizes")
    return tuple(shape)


def load(data: bytes, entry: Entry) -> Tensor:
    """A copy of an entry's bytes as a tensor of its own."""
    raw = bytearray(memoryview(data)[entry.start : entry.end])
    return torch.frombuffer(raw, dtype=entry.dtype).reshape(entry.shape)
