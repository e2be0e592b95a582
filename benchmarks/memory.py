"""Predicted against measured peak memory: real client processes beside their profiles.

    python benchmarks/memory.py                       every case
    python benchmarks/memory.py -m gpt2 -m bert-base  those of some models

Each case is a client of `flexp train` in a process of its own (runtime/check_client.py): random
weights, three steps, an echo for a server. Its peak resident memory is set beside the prediction
that the planner uses, `client_peak_bytes`, with the memory of a training process as it is measured
here. The table is markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from flexp.catalog.units import format_bytes
from flexp.profiler import probe_runtime
from flexp.profiler.cache import cached_profile
from flexp.profiler.placement import Placement
from flexp.profiler.profile import Method, ProfileSettings
from flexp.runtime.check import OVER, UNDER, Measured, check_memory

MODELS = {
    "bert-base": "classification",
    "gpt2": "causal-lm",
    "smollm2-135m": "causal-lm",
    "smollm2-360m": "causal-lm",
}
DEEPEST = {"bert-base": 11, "gpt2": 11, "smollm2-135m": 29}
THREADS = 1


class Case(NamedTuple):
    """One client."""

    model: str
    placement: Placement
    settings: ProfileSettings

    def __str__(self) -> str:
        """ "gpt2, depth 11 + 2, full, sgd, 16 x 64, checkpointed"."""
        kept, how = self.placement, self.settings
        words = [self.model, f"depth {kept.depth}{f' + {kept.top}' * bool(kept.top)}", how.method]
        words += [how.optimizer] * (how.optimizer != "adamw")
        words += [how.dtype] * (how.dtype != "float32")
        words += [f"rank {how.lora_rank}"] * (how.lora_rank != 8)
        words += [f"{how.batch} x {how.length}"]
        return ", ".join(words + ["checkpointed"] * kept.checkpointing)


def case(model: str, depth: int, method: str, shape: tuple[int, int], **other: Any) -> Case:
    """`other` are fields of the placement or of the settings."""
    split = {name: other.pop(name) for name in ("top", "checkpointing") if name in other}
    how = {"task": MODELS[model], "method": method, "batch": shape[0], "length": shape[1], **other}
    return Case(model, Placement(depth, **split), ProfileSettings.model_validate(how))


def cases() -> Iterator[Case]:
    """Of each architecture: shallow, middle and deep; every method and shape; then what else a
    client may do."""
    for model, deepest in DEEPEST.items():
        for depth in (1, deepest):
            yield case(model, depth, "full", (16, 64))
            yield case(model, depth, "lora", (4, 256))
        middle = deepest // 2
        yield case(model, middle, "head", (8, 128))
        yield case(model, middle, "lora", (8, 128), checkpointing=True, lora_rank=64)
        yield case(model, middle, "full", (4, 256), top=2)
        yield case(model, middle, "full", (16, 64), optimizer="sgd")
    for depth in (1, 16, 31):  # many small tensors
        yield case("smollm2-360m", depth, "lora", (2, 64))


@cache
def process_bytes(method: Method, checkpointing: bool) -> int:
    """A training process without its model, measured here."""
    settings = ProfileSettings(method=method)
    measured, notes = probe_runtime.measure(settings, THREADS, checkpointing)
    if measured is None:
        raise SystemExit(f"the memory of a training process is unknown here: {notes[0]}")
    return measured


def compare(one: Case) -> Measured:
    """Run the client; its prediction and its peak. It must fit this machine."""
    profile = cached_profile(one.model, one.settings)
    runtime_bytes = process_bytes(one.settings.method, one.placement.checkpointing)
    found = check_memory(profile, [one.placement], runtime_bytes, 1 << 62, lambda _: None)
    return found.cases[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-m", "--model", action="append", choices=MODELS)
    given = parser.parse_args()
    print("| client | predicted | measured | predicted / measured |\n|---|---|---|---|")
    ratios: list[float] = []
    broken = 0
    for one in cases():
        if given.model and one.model not in given.model:
            continue
        found = compare(one)
        ratios.append(found.ratio)
        broken += not found.holds
        predicted, measured = map(format_bytes, (found.predicted_bytes, found.measured_bytes))
        print(f"| {one} | {predicted} | {measured} | {found.ratio:.3f} |", flush=True)
    print(
        f"\n{len(ratios)} clients: predicted / measured {min(ratios):.3f} to {max(ratios):.3f}; "
        f"{broken} outside of -{UNDER:.0%} to +{OVER:.0%}"
    )


if __name__ == "__main__":
    main()
