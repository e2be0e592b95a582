"""Bytes that nobody of ours wrote: refused with one kind of error, and nothing large is made."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch
from flexp.errors import RunError
from flexp.runtime import blob
from flexp.runtime.bounds import Bounds, token_bounds
from flexp.runtime.codecs import CODECS
from flexp.runtime.message import Kind, Message, decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

CAP = Bounds(message_bytes=2**16, batch=4, length=16, width=32)


def valid(kind: Kind = Kind.LABELS, codec: str = "int8", rows: int = 2) -> bytes:
    labels = torch.zeros(rows, dtype=torch.long) if kind is Kind.LABELS else None
    asking = kind in (Kind.LABELS, Kind.FORWARD, Kind.PREDICT)
    message = Message(
        kind=kind,
        client="ada",
        step=3,
        part=1,
        parts=4,
        share=0.25,
        hidden=torch.randn(rows, 3, 8, generator=torch.Generator().manual_seed(0)),
        masks={"attention_mask": torch.ones(rows, 3, dtype=torch.uint8)} if asking else {},
        shapes={"input_ids": [rows, 3]} if asking else {},
        labels=labels,
        loss=1.5 if kind is Kind.GRADIENT else None,
    )
    return encode(message, codec)


def header_of(data: bytes) -> dict[str, Any]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def with_header(data: bytes, header: Any, payload: bytes | None = None) -> bytes:
    text = json.dumps(header).encode()
    old = 8 + int.from_bytes(data[:8], "little")
    return len(text).to_bytes(8, "little") + text + (data[old:] if payload is None else payload)


def changed(*path: str, value: Any, kind: Kind = Kind.LABELS) -> bytes:
    """A message with one value of its header replaced; a value of None leaves the key out."""
    data = valid(kind)
    header = header_of(data)
    where = header
    for key in path[:-1]:
        where = where[key]
    if value is None:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return with_header(data, header)


META = "__metadata__"
WRONG: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a header longer than the bytes": lambda: (2**40).to_bytes(8, "little") + b"{}",
    "a header beyond its cap": lambda: with_header(valid(), header_of(valid()) | {"x": "y" * 5000}),
    "a header that is no mapping": lambda: with_header(valid(), [1]),
    "a header of deep lists": lambda: (4000).to_bytes(8, "little") + b"[" * 4000,
    "no metadata": lambda: changed(META, value=None),
    "a number in the metadata": lambda: changed(META, "step", value=3),
    "no kind": lambda: changed(META, "kind", value=None),
    "an unknown kind": lambda: changed(META, "kind", value="execute"),
    "an unknown codec": lambda: changed(META, "codec", value="pickle"),
    "another codec": lambda: changed(META, "codec", value="bf16"),
    "an unknown field": lambda: changed(META, "priority", value="high"),
    "a field of another kind": lambda: changed(META, "loss", value="1.0"),
    "a client without a name": lambda: changed(META, "client", value=""),
    "a client with an endless name": lambda: changed(META, "client", value="a" * 200),
    "a negative step": lambda: changed(META, "step", value="-1"),
    "a step of many digits": lambda: changed(META, "step", value="1" * 1000),
    "a part beyond the count": lambda: changed(META, "part", value="4/4"),
    "no part at all": lambda: changed(META, "part", value="0/0"),
    "too many parts": lambda: changed(META, "part", value="0/100000"),
    "a share above one": lambda: changed(META, "share", value="1.5"),
    "a share that is no number": lambda: changed(META, "share", value="nan"),
    "shapes that are no mapping": lambda: changed(META, "shapes", value="[1]"),
    "deep shapes": lambda: changed(META, "shapes", value="[" * 3000),
    "a huge input": lambda: changed(META, "shapes", value='{"input_ids":[2,1000000000]}'),
    "a huge image": lambda: changed(META, "shapes", value='{"pixel_values":[2,3,100000,100000]}'),
    "an unknown input": lambda: changed(META, "shapes", value='{"use_cache":[2,3]}'),
    "no hidden tensor": lambda: changed("hidden", value=None),
    "no scale": lambda: changed("scale", value=None),
    "an unknown type": lambda: changed("hidden", "dtype", value="F64"),
    "a type of another size": lambda: changed("hidden", "dtype", value="F32"),
    "a type of the same size": lambda: changed("hidden", "dtype", value="U8"),
    "a shape of other size": lambda: changed("hidden", "shape", value=[2, 3, 9]),
    "a huge shape": lambda: changed("hidden", "shape", value=[2**30, 2**30, 2**30]),
    "a shape of another rank": lambda: changed("hidden", "shape", value=[6, 8]),
    "a negative size": lambda: changed("hidden", "shape", value=[-2, -3, 8]),
    "a size that is no whole number": lambda: changed("hidden", "shape", value=[2.0, 3, 8]),
    "an empty shape": lambda: changed("hidden", "shape", value=[0, 3, 8]),
    "overlapping tensors": lambda: changed("scale", "data_offsets", value=[0, 24]),
    "a key too many": lambda: changed("hidden", "strides", value=[24, 8, 1]),
    "bytes at the end": lambda: valid() + b"0",
    "bytes missing": lambda: valid()[:-1],
    "too many rows": lambda: valid(rows=5),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case: str) -> None:
    with pytest.raises(RunError, match="a message on the wire could not be read: "):
        decode(WRONG[case](), CAP)


def test_a_message_beyond_the_cap_is_not_even_parsed() -> None:
    data = valid()
    assert decode(data, Bounds(message_bytes=len(data))).hidden.shape == (2, 3, 8)
    with pytest.raises(RunError, match=f"{len(data)} bytes; at most {len(data) - 1} are read"):
        decode(data, Bounds(message_bytes=len(data) - 1))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", Kind)
def test_bounds_of_a_plan_let_its_messages_through(kind: Kind, codec: str) -> None:
    """And no row, token or element more."""
    sizes = {"batch": 2, "length": 3, "hidden_size": 8, "outputs": 5}
    data = valid(kind, codec)
    assert decode(data, token_bounds(**sizes)).hidden.shape == (2, 3, 8)
    for less in ({"batch": 1}, {"length": 2}, {"hidden_size": 7}):
        with pytest.raises(RunError, match=r"at most . are expected"):
            decode(data, token_bounds(**{**sizes, **less}))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", Kind)
def test_safetensors_reads_what_is_sent(kind: Kind, codec: str) -> None:
    data = valid(kind, codec)
    tensors = safetensors.torch.load(data)
    metadata, entries = blob.unpack(data)
    assert tensors.keys() == entries.keys()
    assert all(torch.equal(t, blob.load(data, entries[name])) for name, t in tensors.items())
    assert decode(data, CAP).kind == metadata["kind"] == kind


def mutated(data: bytes, draw: Callable[..., Any]) -> bytes:
    """A few random edits: bytes replaced, cut out, doubled or inserted, mostly in the header."""
    changes = draw(st.integers(1, 4))
    for _ in range(changes):
        end = draw(st.sampled_from([8, 8 + int.from_bytes(data[:8], "little"), len(data)]))
        at = draw(st.integers(0, max(0, min(end, len(data)) - 1)))
        span = draw(st.integers(0, 12))
        put = draw(st.binary(max_size=8) | st.sampled_from([b"9", b"]", b"}", b'"', b"-", b"e9"]))
        data = data[:at] + put + data[at + span :]
    return data


@settings(max_examples=400)
@given(kind=st.sampled_from(list(Kind)), codec=st.sampled_from(list(CODECS)), data=st.data())
def test_random_damage_is_read_or_refused(kind: Kind, codec: str, data: st.DataObject) -> None:
    """And whatever is read keeps to the bounds."""
    damaged = mutated(valid(kind, codec), data.draw)
    tracemalloc.start()
    try:
        message = decode(damaged, CAP)
    except RunError:
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * CAP.message_bytes
    assert message.hidden.numel() <= 4 * 16 * 32
    assert 0 <= message.part < message.parts


@given(blob_bytes=st.binary(max_size=200))
def test_random_bytes_are_refused(blob_bytes: bytes) -> None:
    with pytest.raises(RunError):
        decode(blob_bytes, CAP)
