"""The memory of a training process without its model.

`python -m flexp.profiler.probe_runtime lora 4` trains a model of half a megabyte on 4 threads and
prints the bytes that are then resident, and how many modules it had to compile. A process of its
own, because a process keeps memory that it once used. Importing alone would show a third less: the
first steps load kernels, the optimizer and thread pools. The text architecture makes a difference
of about 1% (bert, llama, gpt2 and gemma were compared).

The first process after an installation compiles 2,700 modules to bytecode and keeps some of the
memory that this took: 396 MiB instead of 373 were seen. Such a figure is measured again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from typing import Any, get_args

from .allocator import pin_allocator
from .process_memory import resident_bytes
from .profile import Method, ProfileSettings

STEPS = 3
TIMEOUT_SECONDS = 120.0


def start(
    settings: ProfileSettings, threads: int, checkpointing: bool = True
) -> subprocess.Popen[str]:
    """Begin the measurement, in another process, which may come to use gradient checkpointing."""
    command = [sys.executable, "-P", "-m", "flexp.profiler.probe_runtime"]
    return subprocess.Popen(
        [*command, settings.method, str(threads), str(int(checkpointing))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )


def read(process: subprocess.Popen[str]) -> tuple[int | None, bool, tuple[str, ...]]:
    """(runtime_bytes, whether bytecode was written, notes) once the process has ended."""
    try:
        printed, complaints = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return None, False, (f"a tiny training run took over {TIMEOUT_SECONDS:.0f} s",)
    if process.returncode != 0:
        last = complaints.strip().rpartition("\n")[2] or f"exit status {process.returncode}"
        return None, False, (f"a tiny training run failed: {last}",)
    resident, compiled = map(int, printed.split())
    return resident, compiled > 0, ()


def measure(
    settings: ProfileSettings, threads: int, checkpointing: bool = True
) -> tuple[int | None, tuple[str, ...]]:
    """(runtime_bytes, notes); measured again where bytecode had to be compiled, which takes memory
    that a later process does not."""
    for _ in range(2):
        with start(settings, threads, checkpointing) as process:
            try:
                measured, compiled, notes = read(process)
            finally:
                process.kill()
        if not compiled:
            break
    return measured, notes


def train_tiny(settings: ProfileSettings, threads: int, checkpointing: bool) -> None:
    """A few AdamW steps of a two-block BERT of width 64."""
    import torch
    from transformers import AutoConfig

    from ..catalog.models.build import build_model
    from .fake import training_batch

    torch.set_num_threads(threads)
    config = AutoConfig.for_model(
        "bert",
        hidden_size=64,
        intermediate_size=128,
        num_attention_heads=2,
        num_hidden_layers=2,
        vocab_size=1000,
    )
    model = build_model(config, settings)
    inputs, labels = training_batch(model, settings)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for _ in range(STEPS):
        model.loss(inputs, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    _use_wide_kernels(checkpointing)


def _use_wide_kernels(checkpointing: bool) -> None:
    """One linear layer as wide as a vocabulary: its matrix products take buffers that they keep
    (5 MiB a thread). Under checkpointing, the exception with which torch ends the second forward
    pass loads tables for unwinding: 4 to 15 MiB, by how the system holds the libraries' files."""
    import torch
    from torch.utils.checkpoint import checkpoint

    layer = torch.nn.Linear(512, 16384)
    tokens = torch.zeros(128, 512, requires_grad=True)
    if checkpointing:
        made = checkpoint(layer, tokens, use_reentrant=False, preserve_rng_state=False)
    else:
        made = layer(tokens)
    made.sum().backward()


def count_compiled() -> Callable[[], int]:
    """A function that says how many modules were compiled since, of those whose bytecode is kept
    for the next process."""
    compiled: list[str] = []
    compile_source = SourceFileLoader.source_to_code

    def counting(self: SourceFileLoader, data: Any, path: Any, **other: Any) -> Any:
        compiled.append(str(path))
        return compile_source(self, data, path, **other)

    SourceFileLoader.source_to_code = counting  # type: ignore[method-assign, assignment]
    return lambda: 0 if sys.dont_write_bytecode else len(compiled)


def main(method: Method, threads: int, checkpointing: bool) -> None:
    compiled = count_compiled()
    pin_allocator()
    settings = ProfileSettings(method=method, batch=4, length=16, labels=2)
    train_tiny(settings, threads, checkpointing)
    sys.stdout.write(f"{resident_bytes()} {compiled()}\n")


if __name__ == "__main__":
    named = next(name for name in get_args(Method) if name == sys.argv[1])
    main(named, int(sys.argv[2]), sys.argv[3] == "1")
