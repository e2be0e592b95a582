"""What a split costs in one process: a split step beside the unsplit step of the same model.

    python benchmarks/split.py                      three architectures
    python benchmarks/split.py -m minilm-l6 -r 200  one of them, 200 pairs of steps
    python benchmarks/split.py --head server        labels go up, one round trip

Client and server live in this process, as in an embedded run, and talk in fp32. Both sides train
the same adapters and head from the same start on the same padded batches, whose masks differ from
step to step; the losses must be equal. Steps alternate, and the order of each pair too: other
programs slow both alike. A ratio is that of one pair, by this process's CPU time or by the clock;
the median is given, and for CPU time the quartiles, which say how noisy the machine was. The table
is markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import torch
from flexp.catalog.models.blocks import block_stack
from flexp.catalog.models.build import bare_model
from flexp.catalog.models.entry import load_config
from flexp.catalog.models.heads import Inputs, TaskModel, own_copy
from flexp.catalog.models.lora import activate, lora_linears, new_adapter
from flexp.profiler.config_slice import with_blocks
from flexp.profiler.fake import training_batch
from flexp.profiler.placement import HeadOn, Placement
from flexp.profiler.profile import TOKEN_TASKS, ProfileSettings
from flexp.runtime.client import Client, ClientSettings
from flexp.runtime.optim import adamw, apply, learning_rate_factor
from flexp.runtime.server import Server, ServerSettings
from flexp.runtime.server_head import HeadSettings, ServerHead
from flexp.runtime.wire import Wire
from torch import Tensor

CASES = {
    "minilm-l6": (6, ProfileSettings(task="classification", batch=16, length=48)),
    "smollm2-135m": (6, ProfileSettings(task="causal-lm", batch=4, length=48)),
    "deit-small": (6, ProfileSettings(task="image-classification", batch=4)),
}
"""Blocks, batch and task of each model."""
RATE, SEED, STEPS = 1e-3, 0, 10_000
WARM_UP = 4
"""Pairs that don't count."""
Step = Callable[[int, Inputs, Tensor], float]


class Pair(NamedTuple):
    """Seconds of an unsplit and a split step on the same batch, by clock and CPU time."""

    unsplit: tuple[float, float]
    split: tuple[float, float]


def unsplit_step(template: TaskModel, settings: ProfileSettings) -> Step:
    model = own_copy(template)
    _, blocks = block_stack(model.backbone)
    linears = lora_linears(blocks, range(len(blocks)))
    adapter = new_adapter(linears, settings.lora_rank).seed(SEED)
    activate(linears, adapter)
    head = [p for p in model.head.parameters() if p.requires_grad]
    optimizer = adamw([*adapter.parameters(), *head], RATE)

    def step(number: int, inputs: Inputs, labels: Tensor) -> float:
        loss = model.loss(inputs, labels)
        loss.backward()
        apply(optimizer, [RATE], learning_rate_factor(number, STEPS))
        return loss.item()

    return step


def split_step(template: TaskModel, settings: ProfileSettings, head: HeadOn) -> Step:
    remote = own_copy(template)
    _, blocks = block_stack(remote.backbone)
    server_settings = ServerSettings(
        server_side="personal",
        codec="fp32",
        steps=STEPS,
        learning_rate=RATE,
        rank=settings.lora_rank,
        seed=SEED,
        lambdas=(0.0,) * len(blocks),
    )
    server = Server(remote.backbone, server_settings)
    placement = Placement(len(blocks) // 2, head=head)
    own = None
    if head == "server":
        head_settings = HeadSettings(learning_rate=RATE, steps=STEPS)
        own = ServerHead("a", own_copy(remote, server.middle.blocks), server.middle, head_settings)
    server.admit("a", placement.depth, head=own)
    client_settings = ClientSettings(
        steps=STEPS, learning_rate=RATE, head_rate=RATE, rank=settings.lora_rank, seed=SEED
    )
    model = own_copy(template)
    wire = Wire("a", server.handle, "fp32")
    return Client("a", model, placement, wire, client_settings).train_step


def batches(model: TaskModel, settings: ProfileSettings) -> Callable[[int], tuple[Any, Tensor]]:
    """The batch of a step: random rows, padded on the right by random amounts."""
    shape, _ = training_batch(model, settings)

    def batch(step: int) -> tuple[Any, Tensor]:
        random = torch.Generator().manual_seed(step)
        if "pixel_values" in shape:
            images = torch.randn(shape["pixel_values"].shape, generator=random)
            return {"pixel_values": images}, torch.randint(0, 20, images.shape[:1])
        ids_BT = torch.randint(0, 1000, shape["input_ids"].shape, generator=random)
        lengths_B = torch.randint(1, ids_BT.shape[1] + 1, ids_BT.shape[:1], generator=random)
        mask_BT = (torch.arange(ids_BT.shape[1]) < lengths_B[:, None]).long()
        labels = ids_BT if settings.task in TOKEN_TASKS else ids_BT[:, 0] % settings.labels
        return {"input_ids": ids_BT, "attention_mask": mask_BT}, labels

    return batch


def compare(name: str, head: HeadOn, repeats: int) -> list[Pair]:
    blocks, settings = CASES[name]
    config = with_blocks(load_config(name), range(blocks))
    torch.manual_seed(SEED)
    template = bare_model(config, settings)
    batch = batches(template, settings)
    steps = (unsplit_step(template, settings), split_step(template, settings, head))
    pairs = []
    for number in range(repeats + WARM_UP):
        inputs, labels = batch(number)
        losses, seconds = [0.0, 0.0], [(0.0, 0.0), (0.0, 0.0)]
        for which in (0, 1) if number % 2 else (1, 0):
            clock, cpu = time.perf_counter(), time.process_time()
            losses[which] = steps[which](number, inputs, labels)
            seconds[which] = time.perf_counter() - clock, time.process_time() - cpu
        assert losses[0] == losses[1], f"{name}, step {number}: losses differ: {losses}"
        pairs.append(Pair(*seconds))
    return pairs[WARM_UP:]


def row(name: str, pairs: list[Pair]) -> str:
    settings = CASES[name][1]
    unsplit, split = (median(step[0] for step in steps) for steps in zip(*pairs, strict=True))
    clock, cpu = ([p.split[by] / p.unsplit[by] for p in pairs] for by in (0, 1))
    low, middle, high = quantiles(cpu, n=4)
    return (
        f"| {name} | {settings.batch} x {settings.length} | {1e3 * unsplit:.0f} "
        f"| {1e3 * split:.0f} | {middle:.3f} | {low:.3f} to {high:.3f} | {median(clock):.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("-m", "--model", choices=CASES, action="append")
    parser.add_argument("-r", "--repeats", type=int, default=60)
    parser.add_argument("--head", choices=("device", "server"), default="device")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | batch | unsplit, ms | split, ms | ratio | half of the pairs | by the clock |")
    print("|---|---|---|---|---|---|---|")
    for name in given.model or CASES:
        print(row(name, compare(name, given.head, given.repeats)), flush=True)


if __name__ == "__main__":
    main()
