"""One training step, cut into units: the embedding, each block, the head (what follows the blocks).

Units are numbered in forward order: 0 is the embedding, i + 1 block i, the last the head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..catalog.models.heads import Inputs, TaskModel
from .flops import flop_counter
from .live_memory import LiveMemory


@dataclass(frozen=True)
class StepTrace:
    """By unit. Where nothing in or below a unit trains, it has no backward figures."""

    forward_flops: Counter[int] = field(default_factory=Counter)
    backward_flops: Counter[int] = field(default_factory=Counter)
    forward_peak_bytes: Counter[int] = field(default_factory=Counter)
    """The most that was live, of all units together, while the unit ran."""
    backward_peak_bytes: Counter[int] = field(default_factory=Counter)
    saved_bytes: Counter[int] = field(default_factory=Counter)
    """What the unit made in the forward pass and was live when the backward pass began."""
    input_bytes: Counter[int] = field(default_factory=Counter)
    """The hidden state that enters the unit."""
    users: dict[int, list[int]] = field(default_factory=dict)
    """For the id of each weight outside the blocks, the units that use it, in forward order."""


class _Tracer:
    """Attributes what happens to the unit that the hooks say is running."""

    def __init__(self, memory: LiveMemory, counter: FlopCounterMode) -> None:
        self.trace = StepTrace()
        self._memory, self._counter = memory, counter
        self._backward = False
        self._flops = 0

    def enter(self, unit: int) -> None:
        """End the running unit's part of a pass and begin that of `unit`."""
        trace, total = self.trace, self._counter.get_total_flops()
        flops = trace.backward_flops if self._backward else trace.forward_flops
        peaks = trace.backward_peak_bytes if self._backward else trace.forward_peak_bytes
        flops[self._memory.maker] += total - self._flops
        peaks[self._memory.maker] = self._memory.peak_bytes
        self._flops = total
        self._memory.maker = unit
        self._memory.restart_peak()

    def enter_forward(self, unit: int, hidden_BTH: Tensor) -> None:
        self.enter(unit)
        self.trace.input_bytes[unit] = hidden_BTH.numel() * hidden_BTH.element_size()
        if hidden_BTH.requires_grad:
            hidden_BTH.register_hook(lambda _: self.enter(unit - 1))

    def turn_back(self) -> None:
        """The forward pass is over; the head's backward pass begins."""
        head = self._memory.maker
        self.enter(head)
        self.trace.saved_bytes.update(self._memory.live_bytes)
        self._backward = True

    def note_use(self, module: nn.Module, _: Any) -> None:
        for tensor in _own_tensors(module):
            self.trace.users.setdefault(id(tensor), []).append(self._memory.maker)


def trace_step(
    model: TaskModel, blocks: nn.ModuleList, batch: Callable[[], tuple[Inputs, Tensor]]
) -> StepTrace:
    """Forward, loss and backward of `model`. `batch` makes inputs and labels, which count to the
    embedding."""
    memory = LiveMemory([*model.parameters(), *model.buffers()])
    counter = flop_counter()
    tracer = _Tracer(memory, counter)
    for index, block in enumerate(blocks):
        block.register_forward_pre_hook(_entering(tracer, index + 1), with_kwargs=True)
    blocks[-1].register_forward_hook(_leaving(tracer, len(blocks) + 1))
    inside = {id(module) for module in blocks.modules()}
    for module in model.modules():
        if id(module) not in inside and _own_tensors(module):
            module.register_forward_pre_hook(tracer.note_use)
    with counter, memory:
        inputs, labels = batch()
        loss = model.loss(inputs, labels)
        tracer.turn_back()
        loss.backward()
        tracer.enter(0)
    return tracer.trace


def _entering(tracer: _Tracer, unit: int) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
        tracer.enter_forward(unit, args[0] if args else kwargs["hidden_states"])

    return hook


def _leaving(tracer: _Tracer, head: int) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_: nn.Module, __: Any, output: Any) -> None:
        tracer.enter_forward(head, output[0] if isinstance(output, tuple) else output)

    return hook


def _own_tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]
