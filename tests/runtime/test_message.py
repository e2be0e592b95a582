from __future__ import annotations

from typing import Any

import pytest
import torch
from flexp.errors import RunError
from flexp.planner.fleet import Codec
from flexp.profiler.costs import LABEL_FRAMING_BYTES, MESSAGE_OVERHEAD_BYTES
from flexp.runtime.bounds import ASKING
from flexp.runtime.codecs import CODECS
from flexp.runtime.message import MAX_CLIENT_LENGTH, Kind, Message, decode, encode
from hypothesis import given
from hypothesis import strategies as st


def message(hidden: torch.Tensor) -> Message:
    return Message(
        kind=Kind.FORWARD,
        client="ada",
        step=3,
        hidden=hidden,
        masks={"attention_mask": torch.ones(2, 3, dtype=torch.uint8)},
        shapes={"input_ids": [2, 3]},
    )


def test_every_codec_a_fleet_may_name_exists() -> None:
    assert set(CODECS) == set(Codec.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("codec", "relative_error"), [("fp32", 0.0), ("bf16", 2**-8), ("int8", 0.5 / 127)]
)
@given(seed=st.integers(0, 2**16), scale=st.floats(1e-6, 1e6))
def test_a_message_arrives_as_it_was_sent(
    codec: str, relative_error: float, seed: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(2, 3, 8, generator=generator) * scale
    sent = message(hidden)
    got = decode(encode(sent, codec))
    assert (got.kind, got.client, got.step, got.shapes) == ("forward", "ada", 3, sent.shapes)
    assert torch.equal(got.masks["attention_mask"], sent.masks["attention_mask"])
    largest = hidden.abs().amax(-1, keepdim=True)
    assert bool(((got.hidden - hidden).abs() <= largest * relative_error * 1.01).all())


def test_zeros_survive_int8() -> None:
    assert not decode(encode(message(torch.zeros(2, 3, 8)), "int8")).hidden.any()


@pytest.mark.parametrize("cut", [0, 4, 50, -1])
def test_a_damaged_message_is_refused(cut: int) -> None:
    with pytest.raises(RunError, match="could not be read"):
        decode(encode(message(torch.randn(2, 3, 8)), "fp32")[:cut])


def test_an_unknown_kind_is_refused() -> None:
    data = encode(message(torch.randn(2, 3, 8)), "fp32")
    with pytest.raises(RunError, match="could not be read"):
        decode(data.replace(b'"forward"', b'"execute"'))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", Kind)
def test_framing_is_within_what_a_plan_counts(kind: Kind, codec: str) -> None:
    """A long name, a late step, many parts and large shapes."""
    rows, tokens = 512, 8192
    inputs: dict[str, Any] = {}
    if kind in ASKING:
        inputs["masks"] = {"attention_mask": torch.ones(rows, tokens, dtype=torch.uint8)}
        inputs["shapes"] = {name: [rows, tokens] for name in ("input_ids", "token_type_ids")}
    if kind is Kind.LABELS:
        inputs["labels"] = torch.zeros(rows, tokens, dtype=torch.long)
    data = encode(
        Message(
            kind=kind,
            client="n" * MAX_CLIENT_LENGTH,
            step=10**9,
            part=128,
            parts=256,
            share=1 / 3,
            hidden=torch.ones(rows, tokens, 1),
            loss=-1 / 3e30 if kind is Kind.GRADIENT else None,
            **inputs,
        ),
        codec,
    )
    framing = 8 + int.from_bytes(data[:8], "little")
    labels = LABEL_FRAMING_BYTES if kind is Kind.LABELS else 0
    assert framing <= MESSAGE_OVERHEAD_BYTES + labels
