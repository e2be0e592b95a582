"""The blocks that are timed: how many, their FLOPs, and how long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from flexp.catalog.models.entry import load_config, model_names
from flexp.profiler import block_speed
from flexp.profiler.block_speed import affordable_batch, sample_blocks, time_blocks, weight_bytes

from .probing import HIDDEN, INNER, LENGTH, RANK, TINY_VIT, settings


def linear_flops(method: str, batch: int) -> int:
    """2 FLOPs a multiply-add: forward, gradient of the input, gradient of what trains."""
    tokens = batch * LENGTH
    shapes = [(HIDDEN, HIDDEN)] * 4 + [(HIDDEN, INNER), (INNER, HIDDEN)]
    passes = 3 if method == "full" else 2
    base = sum(2 * tokens * rows * columns * passes for rows, columns in shapes)
    attention = 2 * tokens * LENGTH * HIDDEN * (2 + 5)  # 2 products forward, 5 in flash backward
    adapters = 0
    if method == "lora":  # query and value, A and B
        adapters = 2 * 2 * tokens * RANK * (HIDDEN + HIDDEN) * 3
    return base + attention + adapters


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_flops_of_a_block_are_those_of_its_method(tiny: str, method: str) -> None:
    sample = sample_blocks(load_config(tiny))
    (timing,) = time_blocks(sample, settings(method), threads=1, seconds=0.0)
    assert timing.step_flops == linear_flops(method, timing.batch)
    assert timing.steps >= 3


@pytest.mark.parametrize(
    ("sample_seconds", "share_seconds", "batch", "affordable"),
    [
        (0.001, 3.0, 16, 16),
        (0.1, 3.2, 16, 8),  # three steps and a warm-up of 0.8 s
        (30.0, 3.0, 16, 1),
        (0.1, 0.0, 16, 1),
    ],
)
def test_a_slow_machine_trains_fewer_samples_at_a_time(
    sample_seconds: float, share_seconds: float, batch: int, affordable: int
) -> None:
    assert affordable_batch(sample_seconds, share_seconds, batch) == affordable


def test_threads_are_put_back(tiny: str) -> None:
    before = torch.get_num_threads()
    time_blocks(sample_blocks(load_config(tiny)), settings(), threads=before + 1, seconds=0.0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("model", model_names())
def test_samples_keep_the_blocks_and_shrink_the_rest(model: str) -> None:
    config = load_config(model)
    sample = sample_blocks(config)
    assert sum(sample.alike) == config.num_hidden_layers
    assert sample.config.num_hidden_layers == len(sample.blocks) == len(sample.alike)
    how = settings("full")
    whole = weight_bytes(sample, how)
    assert whole < 16 * 2**30
    assert getattr(sample.config, "vocab_size", 0) <= 1024


def test_each_kind_of_block_counts_as_often_as_it_occurs() -> None:
    sample = sample_blocks(load_config("gemma-3-1b"))
    assert (sample.blocks, sample.alike) == ((0, 5), (22, 4))


@pytest.mark.parametrize(
    "architecture",
    [
        {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2},
        {
            "model_type": "gemma3_text",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "sliding_window": 4,
            "sliding_window_pattern": 2,
        },
        TINY_VIT,
    ],
    ids=lambda architecture: architecture["model_type"],
)
def test_other_architectures_can_be_timed(tmp_path: Path, architecture: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(architecture), encoding="utf-8")
    sample = sample_blocks(load_config(str(tmp_path)))
    timings = time_blocks(sample, settings("full"), threads=1, seconds=0.0)
    assert [timing.alike for timing in timings] == list(sample.alike)
    assert all(timing.step_flops > 0 for timing in timings)


def test_one_disturbed_step_does_not_make_a_machine_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([5.0, 0.2, 0.3, 9.0])
    monkeypatch.setattr(block_speed, "_seconds_of", lambda step, device: next(taken))
    assert block_speed._fastest(lambda: None, torch.device("cpu"), seconds=60.0) == 0.2
    assert block_speed._fastest(lambda: None, torch.device("cpu"), seconds=-1.0) == 9.0
