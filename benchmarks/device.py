"""Predicted against measured peak memory of clients that load their part of a large checkpoint.

    python benchmarks/device.py                  smollm2-360m, 362 million parameters
    python benchmarks/device.py -m qwen2.5-0.5b  another model of the catalogue

Writes a checkpoint of random weights, in shards, into a temporary folder. Each client is a process
of its own (runtime/check_client.py): it pins the allocator, loads what is its own, reads each
weight once, and trains three steps against an echo. Its peak resident memory, loading included, is
set beside the prediction that the planner uses, with the memory of a training process as it is
measured here. The table is markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flexp.catalog.units import format_bytes
from flexp.profiler import probe_runtime
from flexp.profiler.cache import cached_profile
from flexp.profiler.placement import Placement
from flexp.profiler.profile import ProfileSettings
from flexp.runtime.check import Measured, check_memory

MODEL = "smollm2-360m"
SETTINGS = ProfileSettings(task="causal-lm", method="lora", batch=2, length=64)
SHARD_SIZE = "200MB"


def write_checkpoint(model: str, folder: Path) -> None:
    import torch
    from flexp.catalog.models.build import bare_model
    from flexp.catalog.models.entry import load_config

    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update={"method": "full"})
    made = bare_model(load_config(model), settings)
    made.root.save_pretrained(folder, max_shard_size=SHARD_SIZE)


def placements(blocks: int) -> tuple[Placement, ...]:
    """Shallow, middle and deep, and the middle with the head on the server."""
    middle = blocks // 2
    return (
        *(Placement(depth) for depth in (1, middle, blocks - 1)),
        Placement(middle, head="server"),
    )


def compare(model: str) -> Iterator[Measured]:
    """Each client beside its prediction, one after the other."""
    runtime_bytes, notes = probe_runtime.measure(SETTINGS, threads=1, checkpointing=False)
    if runtime_bytes is None:
        raise SystemExit(f"the memory of a training process is unknown here: {notes[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(model, folder)
        profile = cached_profile(str(folder), SETTINGS)
        for placement in placements(profile.blocks):
            found = check_memory(profile, [placement], runtime_bytes, 1 << 62, lambda _: None)
            yield found.cases[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-m", "--model", default=MODEL)
    given = parser.parse_args()
    print(f"{given.model}: {SETTINGS.task}, {SETTINGS.batch} x {SETTINGS.length}\n")
    print("| depth | head on | predicted | measured | predicted / measured |")
    print("|---|---|---|---|---|")
    for found in compare(given.model):
        kept = found.placement
        sizes = (format_bytes(size) for size in (found.predicted_bytes, found.measured_bytes))
        cells = (str(kept.depth), kept.head, *sizes, f"{found.ratio:.3f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
