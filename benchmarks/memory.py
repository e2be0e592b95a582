"""Predicted against measured peak memory: real training processes beside their profiles.

    python benchmarks/memory.py             every case
    python benchmarks/memory.py --case 3    only that one

Each case trains a whole model of random weights for three steps in a process of its own, with
glibc's allocator pinned as the runtime pins it, and compares the peak resident memory with the
profile's composition. A tiny model of the same architecture gives the memory of the process itself.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from flexp.catalog.units import format_bytes
from flexp.profiler.profile import Profile, ProfileSettings

CASES: list[dict[str, Any]] = [
    {"model": model, "blocks": 4, "task": task, "method": method, "batch": batch, "length": length}
    for model, task in (
        ("bert-base", "classification"),
        ("gpt2", "causal-lm"),
        ("qwen2.5-0.5b", "classification"),
    )
    for method in ("full", "lora")
    for batch, length in ((16, 64), (4, 256))
]
STEPS = 3
PINNED_BYTES = 1 << 20
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}


def config_of(case: dict[str, Any], tiny: bool) -> Any:
    from flexp.catalog.models.entry import load_config
    from flexp.profiler.config_slice import with_blocks

    config = with_blocks(load_config(case["model"]), range(case["blocks"]))
    if tiny:
        for name, value in TINY.items():
            if hasattr(config, name):
                setattr(config, name, value)
    return config


def settings_of(case: dict[str, Any]) -> ProfileSettings:
    fields = {name: case[name] for name in ("task", "method", "batch", "length")}
    return ProfileSettings.model_validate(fields)


def train(case: dict[str, Any], tiny: bool) -> None:
    """Train for a few steps and print this process's peak resident memory."""
    libc = ctypes.CDLL("libc.so.6")
    for parameter in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        libc.mallopt(parameter, PINNED_BYTES)
    import torch
    from flexp.catalog.models.build import build_model
    from flexp.profiler.process_memory import peak_resident_bytes

    torch.manual_seed(0)
    settings = settings_of(case)
    config = config_of(case, tiny)
    model = build_model(config, settings)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for _ in range(STEPS):
        ids = torch.randint(0, config.vocab_size, (settings.batch, settings.length))
        mask = torch.ones_like(ids)
        mask[0, -3:] = 0
        labels = ids if settings.task == "causal-lm" else ids[:, 0] % settings.labels
        model.loss({"input_ids": ids, "attention_mask": mask}, labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print(json.dumps(peak_resident_bytes()))


def model_bytes(profile: Profile) -> int:
    """Peak of an unsplit run of the profiled model, without the process itself."""
    live, saved, gradients = 0, 0, sum(unit.trainable_bytes for unit in profile.units)
    above = gradients
    for unit in profile.units:
        above -= unit.trainable_bytes
        live = max(live, saved + unit.forward_transient_bytes)
        saved += unit.saved_bytes
        live = max(live, saved + above + unit.backward_transient_bytes)
    weights = sum(unit.parameter_bytes for unit in profile.units)
    update = gradients + 2 * max(unit.largest_trainable_bytes for unit in profile.units)
    return weights + 2 * gradients + max(live, update)


def measured(number: int, tiny: bool) -> int:
    arguments = [sys.executable, __file__, "--case", str(number), "--train"]
    run = subprocess.run(
        [*arguments, *(["--tiny"] if tiny else [])], check=True, capture_output=True, text=True
    )
    return int(json.loads(run.stdout))


def compare(number: int) -> float:
    """Print one case; predicted / measured."""
    from flexp.profiler.measure import profile_config

    case = CASES[number]
    settings = settings_of(case)
    predicted = {
        tiny: model_bytes(profile_config(case["model"], config_of(case, tiny), settings))
        for tiny in (True, False)
    }
    runtime = measured(number, tiny=True) - predicted[True]
    peak = measured(number, tiny=False)
    ratio = (runtime + predicted[False]) / peak
    print(
        f"{number:2} {case['model']:13} {case['method']:4} {case['batch']:2} x {case['length']:3}  "
        f"process {format_bytes(runtime)}, predicted {format_bytes(runtime + predicted[False])}, "
        f"measured {format_bytes(peak)}: {ratio:.3f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("--case", type=int, choices=range(len(CASES)))
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(CASES[given.case], given.tiny)
        return
    for number in range(len(CASES)) if given.case is None else [given.case]:
        compare(number)


if __name__ == "__main__":
    main()
