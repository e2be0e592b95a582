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

from ..catalog.models.heads import Inputs, TaskModel
from ..errors import FieldError, UnsupportedModelError
from .profile import ProfileSettings

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
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        log.disabled = log_was_disabled
        if before is None:
            del os.environ[NO_CHECKS]
        else:
            os.environ[NO_CHECKS] = before


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


def training_batch(model: TaskModel, settings: ProfileSettings) -> tuple[Inputs, Tensor]:
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
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise FieldError(
            f"length: {config.model_type} takes at most {longest} tokens, found {length}",
            f"choose --length {longest} or less",
        )
    ids_BT = torch.zeros(batch, length, dtype=torch.long)
    inputs = {"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT)}
    labels = ids_BT.clone() if settings.task == "causal-lm" else ids_BT[:, 0].clone()
    return inputs, labels
