"""Bytes are counted in one place, and are what the plan promised."""

from __future__ import annotations

import pytest
import torch
import transformers
from flexp.catalog.models.build import build_model
from flexp.profiler.costs import Codec, wire_bytes
from flexp.profiler.measure import profile_config
from flexp.profiler.placement import Placement
from flexp.profiler.profile import Profile, ProfileSettings
from flexp.runtime.check_client import echo
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.codecs import CODECS
from flexp.runtime.message import MAX_CLIENT_LENGTH, decode
from flexp.runtime.wire import Traffic, Wire

BATCH, LENGTH, HIDDEN = 32, 64, 64
CONFIGS = {
    "llama": transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
    ),
    "vit": transformers.ViTConfig(
        image_size=56,
        patch_size=7,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
    ),
}


def settings_of(task: str, method: str = "lora") -> ProfileSettings:
    return ProfileSettings(task=task, batch=BATCH, length=LENGTH, labels=3, method=method)


def step(
    family: str,
    settings: ProfileSettings,
    placement: Placement,
    codec: Codec,
    parts: int,
    name: str = "ada",
) -> tuple[Traffic, list[bytes]]:
    """Traffic of one step with an echo for a server, and what was sent and received."""
    messages: list[bytes] = []

    def deliver(data: bytes) -> bytes:
        messages.extend((data, echo(data)))
        return messages[-1]

    torch.manual_seed(0)
    model = build_model(CONFIGS[family], settings)
    wire = Wire(name, deliver, codec, frozen=settings.method == "head")
    client_settings = ClientSettings(
        steps=10**6, learning_rate=1e-4, head_rate=1e-4, rank=8, seed=0, micro_batches=parts
    )
    client = Client(name, model, placement, wire, client_settings)
    inputs, labels = batch(settings)
    client.train_step(10**6 - 1, inputs, labels)
    return wire.traffic, messages


def batch(settings: ProfileSettings) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    if settings.task == "image-classification":
        return {"pixel_values": torch.randn(BATCH, 3, 56, 56)}, torch.arange(BATCH) % 3
    ids = torch.arange(BATCH * LENGTH).reshape(BATCH, LENGTH) % 50
    mask = torch.ones_like(ids)
    mask[0, 5:] = 0
    labels = {"causal-lm": ids, "token-classification": ids % 3}.get(settings.task, ids[:, 0] % 3)
    return {"input_ids": ids, "attention_mask": mask}, labels


def profile_of(family: str, settings: ProfileSettings) -> Profile:
    return profile_config(family, CONFIGS[family], settings)


CASES = (
    ("llama", settings_of("classification"), Placement(1)),
    ("llama", settings_of("classification"), Placement(2, head="server")),
    ("llama", settings_of("causal-lm"), Placement(1, top=1)),
    ("llama", settings_of("causal-lm"), Placement(1, head="server")),
    ("llama", settings_of("token-classification"), Placement(1, head="server")),
    ("llama", settings_of("classification", "head"), Placement(1)),
    ("vit", settings_of("image-classification"), Placement(1)),
)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("family", "settings", "placement"), CASES)
def test_a_step_takes_the_bytes_that_were_promised(
    family: str, settings: ProfileSettings, placement: Placement, codec: Codec, parts: int
) -> None:
    """Never more, and at most 1% less."""
    traffic, messages = step(family, settings, placement, codec, parts)
    promise = wire_bytes(profile_of(family, settings), placement, codec, parts)
    assert len(messages) == 2 * parts * promise.round_trips
    for promised, measured in (
        (promise.up, traffic.up_bytes),
        (promise.down, traffic.down_bytes),
    ):
        assert measured <= promised <= 1.01 * measured
    assert traffic.up_bytes == sum(map(len, messages[0::2]))
    assert traffic.down_bytes == sum(map(len, messages[1::2]))
    assert (traffic.predict_up_bytes, traffic.predict_down_bytes) == (0, 0)


@pytest.mark.parametrize("placement", [Placement(1), Placement(1, head="server")])
def test_the_longest_name_is_within_the_promise(placement: Placement) -> None:
    settings = settings_of("classification")
    traffic, _ = step("llama", settings, placement, "int8", 4, "n" * MAX_CLIENT_LENGTH)
    promise = wire_bytes(profile_of("llama", settings), placement, "int8", 4)
    assert (traffic.up_bytes, traffic.down_bytes) <= (promise.up, promise.down)


def test_every_message_names_client_step_and_part() -> None:
    _, messages = step("llama", settings_of("classification"), Placement(1), "bf16", 3)
    named = [(m.client, m.step, m.parts, m.codec) for m in map(decode, messages)]
    assert set(named) == {("ada", 10**6 - 1, 3, "bf16")}
    sent = [(m.kind, m.part) for m in map(decode, messages[0::2])]
    assert sorted(sent) == [(kind, part) for kind in ("backward", "forward") for part in range(3)]


def test_prediction_is_counted_apart() -> None:
    settings = settings_of("classification")
    lengths: list[int] = []

    def deliver(data: bytes) -> bytes:
        answer = echo(data.replace(b'"predict"', b'"forward"'))
        lengths.extend((len(data), len(answer)))
        return answer

    model = build_model(CONFIGS["llama"], settings)
    wire = Wire("ada", deliver, "bf16")
    client_settings = ClientSettings(steps=1, learning_rate=1e-4, head_rate=1e-4, rank=8, seed=0)
    client = Client("ada", model, Placement(1), wire, client_settings)
    assert client.predict(batch(settings)[0]).shape == (BATCH, 3)
    assert vars(wire.traffic) == {
        "up_bytes": 0,
        "down_bytes": 0,
        "predict_up_bytes": lengths[0],
        "predict_down_bytes": lengths[1],
    }
