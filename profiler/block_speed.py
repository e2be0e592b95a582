"""Timing the training of real blocks with random weights, one of each kind that a model has."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..catalog.models.blocks import block_stack
from ..catalog.models.build import build_model
from ..catalog.models.heads import TaskModel
from .allocator import pin_allocator
from .config_slice import block_kinds, with_blocks
from .fake import training_batch
from .flops import flop_counter
from .probe_report import CPU, BlockTiming
from .profile import ProfileSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SMALL_VOCABULARY = 1024
"""A block does not know the vocabulary; a small one keeps gigabytes of embedding out of memory."""
LEAST_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The blocks to time: the first of each kind."""

    config: PretrainedConfig
    """The model cut down to these blocks."""
    blocks: tuple[int, ...]
    alike: tuple[int, ...]
    """How many blocks of the whole model each of them stands for."""


def sample_blocks(config: PretrainedConfig) -> Sample:
    kinds = block_kinds(config)
    firsts = sorted({kind: index for index, kind in reversed(list(enumerate(kinds)))}.values())
    short = with_blocks(config, firsts)
    if hasattr(short, "vocab_size"):
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            token = getattr(short, name, None)
            if isinstance(token, int) and token >= SMALL_VOCABULARY:
                setattr(short, name, 0)
        short.vocab_size = min(short.vocab_size, SMALL_VOCABULARY)
    return Sample(
        config=short,
        blocks=tuple(firsts),
        alike=tuple(kinds.count(kinds[index]) for index in firsts),
    )


def weight_bytes(sample: Sample, settings: ProfileSettings) -> int:
    """Bytes of the sample's weights and gradients, without building it.

    Raises UnsupportedModelError, or FieldError for a length that the model cannot take.
    """
    with torch.device("meta"):
        model = build_model(sample.config, settings)
        training_batch(model, settings)
    return sum(
        parameter.numel() * parameter.element_size() * (2 if parameter.requires_grad else 1)
        for parameter in model.parameters()
    )


def time_blocks(
    sample: Sample, settings: ProfileSettings, threads: int, seconds: float, on: str = CPU
) -> tuple[BlockTiming, ...]:
    """Train each block for its share of `seconds` the way `settings.method` says: with adapters on
    frozen weights (lora) or with gradients of all weights (full). Gradients of the block's input
    are computed too, as they are wherever something below it trains. `on` is a type of torch
    device; the same blocks and steps run on an accelerator.

    Where steps of the whole batch would take too long, fewer samples are trained at a time. FLOPs
    are those of the CPU's kernels for one sample, times the batch, on every device.

    Raises RuntimeError where the device lacks memory or an operation.
    """
    pin_allocator()
    share_seconds = seconds / len(sample.blocks)
    single = settings.model_copy(update={"batch": 1})
    device = torch.device(on)
    with _threads(threads):
        model = build_model(sample.config, settings)
        flops = [_flops_of(step) for step in _training_steps(model, single)]
        model.to(device)
        one = _training_steps(model, single)
        for step in one:
            step()  # the first step loads kernels
        sample_seconds = max(_fastest(step, device, share_seconds / 4) for step in one)
        batch = affordable_batch(sample_seconds, share_seconds, settings.batch)
        steps = _training_steps(model, settings.model_copy(update={"batch": batch}))
        return tuple(
            BlockTiming(
                block=block,
                alike=alike,
                length=settings.length,
                batch=batch,
                on=on,
                step_flops=batch * sample_flops,
                **_timed(step, device, share_seconds),
            )
            for step, block, alike, sample_flops in zip(
                steps, sample.blocks, sample.alike, flops, strict=True
            )
        )


def affordable_batch(sample_seconds: float, share_seconds: float, batch: int) -> int:
    """The most samples, up to `batch`, of which LEAST_STEPS and a warm-up fit into the share."""
    step_seconds = share_seconds / (LEAST_STEPS + 1)
    return max(1, min(batch, int(step_seconds / sample_seconds)))


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _training_steps(model: TaskModel, settings: ProfileSettings) -> list[Callable[[], None]]:
    """For each block a function that runs it forward and backward on the inputs that it gets in
    the whole model: hidden states, masks and position embeddings."""
    _, blocks = block_stack(model.backbone)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hooks = [
        block.register_forward_pre_hook(
            lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
        )
        for block in blocks
    ]
    inputs, _ = training_batch(model, settings)
    device = next(model.parameters()).device
    with torch.no_grad():
        model.backbone(**{name: tensor.to(device) for name, tensor in inputs.items()})
    for hook in hooks:
        hook.remove()
    return [_training_step(block, *call) for block, call in zip(blocks, calls, strict=True)]


def _training_step(
    block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], None]:
    others = dict(kwargs)
    hidden_BTH: Tensor = args[0] if args else others.pop("hidden_states")
    gradient_BTH = torch.ones_like(hidden_BTH)

    def step() -> None:
        for parameter in block.parameters():
            parameter.grad = None
        h_BTH = hidden_BTH.detach().requires_grad_()
        output = block(h_BTH, *args[1:], **others)
        (output[0] if isinstance(output, tuple) else output).backward(gradient_BTH)

    return step


def _flops_of(step: Callable[[], None]) -> int:
    counter = flop_counter()
    with counter:
        step()
    return counter.get_total_flops()


def _seconds_of(step: Callable[[], None], device: torch.device) -> float:
    """Until the device has done the work: an accelerator only queues it."""
    start = time.perf_counter()
    step()
    if device.type != CPU:
        torch.accelerator.synchronize()
    return time.perf_counter() - start


def _fastest(step: Callable[[], None], device: torch.device, seconds: float) -> float:
    """The fastest of three steps, or of those that are begun within `seconds`: what disturbs a step
    only makes it longer."""
    end = time.perf_counter() + seconds
    fastest = _seconds_of(step, device)
    for _ in range(2):
        if time.perf_counter() < end:
            fastest = min(fastest, _seconds_of(step, device))
    return fastest


def _timed(step: Callable[[], None], device: torch.device, seconds: float) -> dict[str, Any]:
    """BlockTiming's figures of the steps that fit into `seconds`, of LEAST_STEPS at least."""
    _seconds_of(step, device)  # the first step of this batch size allocates
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < LEAST_STEPS or time.perf_counter() < end:
        taken.append(_seconds_of(step, device))
    return {
        "steps": len(taken),
        "min_seconds": min(taken),
        "median_seconds": statistics.median(taken),
    }
