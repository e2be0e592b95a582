from __future__ import annotations

import pytest
import torch
from flexp.errors import RunError
from flexp.planner.fleet import Codec
from flexp.runtime.codecs import CODECS
from flexp.runtime.message import Kind, Message, decode, encode
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
