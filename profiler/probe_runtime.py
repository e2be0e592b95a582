"""The memory of a training process without its model.

`python -m flexp.profiler.probe_runtime lora 4` trains a model of half a megabyte on 4 threads and
prints the bytes that are then resident. A process of its own, because a process keeps memory that
it once used. Importing alone would show a third less: the first steps load kernels, the optimizer
and thread pools. The text architecture makes a difference of about 1% (bert, llama, gpt2 and gemma
were compared).
"""

from __future__ import annotations

import sys
from typing import get_args

from .process_memory import resident_bytes
from .profile import Method, ProfileSettings

STEPS = 3


def train_tiny(settings: ProfileSettings, threads: int) -> None:
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


def main(method: Method, threads: int) -> None:
    train_tiny(ProfileSettings(method=method, batch=4, length=16, labels=2), threads)
    sys.stdout.write(f"{resident_bytes()}\n")


if __name__ == "__main__":
    main(next(name for name in get_args(Method) if name == sys.argv[1]), int(sys.argv[2]))
