"""The client's side of a split: its own model, with the remote blocks replaced by the wire.

Block interception: the model's own forward runs from end to end, so masks, rotary embeddings,
position ids, head and loss are its own. Block `depth` hands its input to the wire and returns
what comes back; the later blocks pass it on. Where the head is on the server too, the forward pass
ends at the wire.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_iter

from ..catalog.models.blocks import block_stack
from ..catalog.models.heads import Headless, Inputs, TaskModel
from ..errors import UnsupportedModelError


class Remote(Protocol):
    """What runs the blocks in between: a wire to a server."""

    frozen: bool
    """Nothing trains there, but for a head."""

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor: ...
    def backward(self, gradient_BTH: Tensor) -> Tensor: ...
    def labels(
        self, h_BTH: Tensor, inputs: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[float, Tensor]: ...
    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor: ...


def strip(module: nn.Module) -> None:
    """Drop what a module holds; its class and plain attributes stay, which some models read."""
    started: Any = module
    started._is_hf_initialized = True  # transformers has nothing to start here
    for held in (module._parameters, module._buffers, module._modules):
        held.clear()


class _Cut(torch.autograd.Function):
    """Autograd's view of the remote blocks."""

    @staticmethod
    def forward(ctx: Any, remote: Remote, inputs: Mapping[str, Tensor], h_BTH: Tensor) -> Tensor:
        ctx.remote = remote
        return remote.forward(h_BTH, inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.remote.backward(gradients[0])


class _RemoteLoss(torch.autograd.Function):
    """Autograd's view of the remote blocks and head: their gradient comes with the loss."""

    @staticmethod
    def forward(
        ctx: Any, remote: Remote, inputs: Mapping[str, Tensor], labels: Tensor, h_BTH: Tensor
    ) -> Tensor:
        loss, gradient_BTH = remote.labels(h_BTH, inputs, labels)
        ctx.save_for_backward(gradient_BTH)
        return torch.tensor(loss)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, Tensor]:
        (gradient_BTH,) = ctx.saved_tensors
        return None, None, None, gradients[0] * gradient_BTH


Cross = Callable[[Remote, Mapping[str, Tensor], Tensor], Tensor]
"""What the server makes of the model's inputs and the bottom's output, for autograd to follow."""


def cross(remote: Remote, inputs: Mapping[str, Tensor], h_BTH: Tensor) -> Tensor:
    """The backward pass asks `remote` for its gradient where it comes by."""
    return _Cut.apply(remote, inputs, _differentiable(h_BTH))


def attach(root: nn.Module, remote: Remote, depth: int, top: int = 0, cross: Cross = cross) -> None:
    """Make `root`, whose forward takes the model's inputs, a client's: blocks [0, depth) and the
    last `top` stay, those between go to `remote`. Threads may run it at the same time.

    The replaced blocks are emptied: a client holds no parameter of theirs. What follows them gets
    no gradient to send back where neither `remote` nor anything below it trains.
    """
    _, blocks = block_stack(root)
    call = _noted_inputs(root)

    def note_output(_: nn.Module, args: Any, output: Any) -> None:
        call.beside = output[1:] if isinstance(output, tuple) else None

    def shaped(h_BTH: Tensor) -> Any:
        """As the blocks of this architecture return it: a tensor, or a tuple led by one."""
        return h_BTH if call.beside is None else (h_BTH, *call.beside)

    def cut(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
        _check_frozen(args, kwargs)
        if not torch.is_grad_enabled():
            return shaped(remote.predict(h_BTH, call.inputs))
        if remote.frozen and not h_BTH.requires_grad:
            return shaped(remote.forward(h_BTH, call.inputs))
        return shaped(cross(remote, call.inputs, h_BTH))

    def passed_on(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
        return shaped(h_BTH)

    blocks[depth - 1].register_forward_hook(note_output)
    for index in range(depth, len(blocks) - top):
        replacement: Callable[..., Any] = cut if index == depth else passed_on
        blocks[index].forward = replacement
        strip(blocks[index])


class _ReachedError(Exception):
    """Ends the client's forward pass at the split."""

    def __init__(self, h_BTH: Tensor) -> None:
        self.h_BTH = h_BTH


class Bottom(nn.Module):
    """A task model of which the client keeps the embedding and blocks [0, depth): the other blocks
    and the head are behind `remote`."""

    def __init__(self, model: TaskModel | Headless, remote: Remote, depth: int) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.head = nn.Module()
        """Empty."""
        self.counted, self.right = model.counted, model.right
        self.remote = remote
        self._call = _noted_inputs(self.backbone)
        _, blocks = block_stack(self.backbone)
        for block in blocks[depth:]:
            strip(block)
        blocks[depth].forward = _reached

    def _split(self, inputs: Inputs) -> Tensor:
        """What goes to the server [B, T, H]."""
        try:
            self.backbone(**inputs)
        except _ReachedError as reached:
            return reached.h_BTH
        raise AssertionError("the forward pass went past the split")

    def forward(self, inputs: Inputs) -> Tensor:
        """The server's logits."""
        return self.remote.predict(self._split(inputs), self._call.inputs)

    def loss(self, inputs: Inputs, labels: Tensor) -> Tensor:
        h_BTH = self._split(inputs)
        if self.remote.frozen and not h_BTH.requires_grad:
            return torch.tensor(self.remote.labels(h_BTH, self._call.inputs, labels)[0])
        h_BTH = _differentiable(h_BTH)
        return _RemoteLoss.apply(self.remote, self._call.inputs, labels, h_BTH)


def _reached(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
    _check_frozen(args, kwargs)
    raise _ReachedError(h_BTH)


def _check_frozen(*beside: Any) -> None:
    """Raises UnsupportedModelError where more than the hidden state carries a gradient across the
    cut: deberta gives every block one table of relative positions."""
    if any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_iter(beside)):
        raise UnsupportedModelError(
            "the model gives weights that train to every block; they can't be on two machines",
            "train adapters (--method lora), which leaves these weights frozen",
        )


class _Call(threading.local):
    """What a thread's last forward pass was given, and what came out of its bottom."""

    inputs: Mapping[str, Tensor]
    """By name; labels do not count."""
    beside: tuple[Any, ...] | None
    """What the bottom's last block returned after the hidden state; None if that was all."""


def _noted_inputs(root: nn.Module) -> _Call:
    """Holds the inputs of each forward pass of `root` from now on."""
    call = _Call()
    signature = inspect.signature(root.forward)

    def note(_: nn.Module, args: Any, kwargs: Any) -> None:
        bound = signature.bind_partial(*args, **kwargs).arguments
        call.inputs = {
            name: value
            for name, value in bound.items()
            if isinstance(value, Tensor) and name != "labels"
        }

    root.register_forward_pre_hook(note, with_kwargs=True)
    return call


def _differentiable(h_BTH: Tensor) -> Tensor:
    """A frozen bottom must not cut the server's backward pass off."""
    return h_BTH if h_BTH.requires_grad else h_BTH.detach().requires_grad_()
