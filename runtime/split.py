"""The client's side of a split: its own model, with the remote blocks replaced by the wire.

Block interception: the model's own forward runs from end to end, so masks, rotary embeddings,
position ids, head and loss are its own. Block `depth` hands its input to the wire and returns
what comes back; the later blocks pass it on.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..catalog.models.blocks import block_stack

M = TypeVar("M", bound=nn.Module)


class Remote(Protocol):
    """What runs the blocks in between: a wire to a server."""

    frozen: bool
    """Nothing trains there."""

    def forward(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor: ...
    def backward(self, gradient_BTH: Tensor) -> Tensor: ...
    def predict(self, h_BTH: Tensor, inputs: Mapping[str, Tensor]) -> Tensor: ...


def shared_copy(model: M) -> M:
    """A copy with modules of its own around the same parameters and buffers."""
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, memo={id(tensor): tensor for tensor in tensors})


def strip(module: nn.Module) -> None:
    """Drop what a module holds; its class and plain attributes stay, which some models read."""
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


def attach(backbone: nn.Module, remote: Remote, depth: int, top: int = 0) -> None:
    """Make `backbone` a client's: blocks [0, depth) and the last `top` stay, those between go to
    `remote`.

    The replaced blocks are emptied: a client holds no parameter of theirs. What follows them gets
    no gradient to send back where neither `remote` nor anything below it trains.
    """
    _, blocks = block_stack(backbone)
    call: dict[str, Any] = {}
    signature = inspect.signature(backbone.forward)

    def note_inputs(_: nn.Module, args: Any, kwargs: Any) -> None:
        bound = signature.bind_partial(*args, **kwargs).arguments
        call["inputs"] = {k: v for k, v in bound.items() if isinstance(v, Tensor)}

    def note_output(_: nn.Module, args: Any, output: Any) -> None:
        call["beside"] = output[1:] if isinstance(output, tuple) else None

    def shaped(h_BTH: Tensor) -> Any:
        """As the blocks of this architecture return it: a tensor, or a tuple led by one."""
        return h_BTH if call["beside"] is None else (h_BTH, *call["beside"])

    def cut(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return shaped(remote.predict(h_BTH, call["inputs"]))
        if remote.frozen and not h_BTH.requires_grad:
            return shaped(remote.forward(h_BTH, call["inputs"]))
        if not h_BTH.requires_grad:  # a frozen bottom must not cut the server's backward off
            h_BTH = h_BTH.detach().requires_grad_()
        return shaped(_Cut.apply(remote, call["inputs"], h_BTH))

    def passed_on(h_BTH: Tensor, *args: Any, **kwargs: Any) -> Any:
        return shaped(h_BTH)

    backbone.register_forward_pre_hook(note_inputs, with_kwargs=True)
    blocks[depth - 1].register_forward_hook(note_output)
    for index in range(depth, len(blocks) - top):
        replacement: Callable[..., Any] = cut if index == depth else passed_on
        blocks[index].forward = replacement
        strip(blocks[index])
