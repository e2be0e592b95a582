"""Models and batches without memory: fake tensors have a shape, a type and a device, no data.

They claim to be on the CPU, so torch picks the kernels that a CPU would run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from ..catalog.models.heads import Headless, Inputs, TaskModel
from ..errors import FieldError, UnsupportedModelError
from .profile import TOKEN_TASKS, ProfileSettings

NO_CHECKS = "TRANSFORMERS_DISABLE_TORCH_CHECK"
"""transformers' switch for its checks of tensor values, which fake tensors do not have."""


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Inside, every new tensor is fake."""
    before = os.environ.get(NO_CHECKS)
    os.environ[NO_CHECKS] = "1"
    log = logging.getLogger("torch._subclasses.fake_tensor")  # it logs what it raises, at length
    log_was_disabled, log.disabled = log.disabled, True
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), _GroupedProducts():
            yield
    finally:
        log.disabled = log_was_disabled
        if before is None:
            del os.environ[NO_CHECKS]
        else:
            os.environ[NO_CHECKS] = before


class _GroupedProducts(TorchDispatchMode):
    """The shape of a mixture's products, one matrix an expert. CPUs compute them in every type,
    but torch knows their shape in bfloat16 alone."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if operation is not torch.ops.aten._grouped_mm.default:
            return operation(*args, **(kwargs or {}))
        a, b, offsets, *_ = args
        if a.dim() == b.dim() == 2:  # [M, K] by [K, N], K cut into groups: a product each
            return a.new_empty(len(offsets), a.shape[0], b.shape[1])
        return a.new_empty(a.shape[-2], b.shape[-1])


def make_fake(model: nn.Module) -> None:
    """Put fake CPU tensors in the place of a meta model's tensors; tied ones stay tied. Call
    inside `fake_tensors`."""
    fakes: dict[int, Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            held: dict[str, Any] = tensors
            for name, tensor in held.items():
                if tensor is not None:
                    if id(tensor) not in fakes:
                        fakes[id(tensor)] = _fake_like(tensor)
                    held[name] = fakes[id(tensor)]


def _fake_like(tensor: Tensor) -> Tensor:
    fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake


def training_batch(model: TaskModel | Headless, settings: ProfileSettings) -> tuple[Inputs, Tensor]:
    """A batch of the shape that `model` trains on, with its labels: token ids and an attention
    mask [B, T], or images [B, C, height, width].

    Raises FieldError where the model cannot take that many tokens, UnsupportedModelError for a
    model of neither text nor images.
    """
    config: Any = model.backbone.config
    batch, length = settings.batch, settings.length
    main_input = model.backbone.main_input_name
    if main_input == "pixel_values":
        size = config.image_size
        height, width = size if isinstance(size, list | tuple) else (size, size)
        dtype = getattr(torch, settings.dtype)
        images = torch.zeros(batch, config.num_channels, height, width, dtype=dtype)
        return {"pixel_values": images}, torch.zeros(batch, dtype=torch.long)
    if main_input != "input_ids":
        raise UnsupportedModelError(
            f"{config.model_type} takes {main_input}; flexp profiles models of text and images",
            "choose a text model (bert, llama) or an image model (vit)",
        )
    longest = _longest(model.backbone)
    if longest is not None and length > longest:
        raise FieldError(
            f"length: {config.model_type} takes at most {longest} tokens, found {length}",
            f"choose --length {longest} or less",
        )
    ids_BT = torch.zeros(batch, length, dtype=torch.long)
    inputs = {"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT)}
    labels = ids_BT.clone() if settings.task in TOKEN_TASKS else ids_BT[:, 0].clone()
    return inputs, labels


def _longest(backbone: Any) -> int | None:
    """Tokens that the model has positions for, or None where any length will do.

    Where the table of positions has a padding row, as roberta's, tokens begin in the row after it.
    """
    positions: int | None = getattr(backbone.config, "max_position_embeddings", None)
    for path, module in backbone.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            padding = module.padding_idx
            return module.num_embeddings - (0 if padding is None else padding + 1)
    return positions
