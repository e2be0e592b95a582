"""What a client takes away from a run, for use without flexp.

With adapters: a PEFT adapter and a head. The client's own blocks carry its own adapter. On the
server's blocks the effective adapter is a sum of pairs, trunk + personal, which is one adapter of
the summed rank: [B1 B2] [A1; A2]. A projection, which the library's model has no layer for, is a
file of its own. Where all weights train: all weights. Where only the head does: the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ..catalog.files import write_atomic
from ..catalog.models.lora import SCALE, LoraPair, Pair
from ..catalog.models.projection import ProjectionPair
from .client import Client

ADAPTER, HEAD = "adapter_model.safetensors", "head.safetensors"
PROJECTED = "projection.safetensors"
"""`weight` [H, H], by which the last block's output is multiplied."""
WEIGHTS = "model.safetensors"
"""Of the library's model, as it names them."""
PREFIX = "base_model.model."
"""Before the name of a layer in an adapter's file: peft's wrappers of the model."""


def export_adapter(
    client: Client,
    remote: dict[str, list[Pair]],
    folder: Path,
    base_model: str,
    rank: int,
) -> None:
    """Write `folder` so that `PeftModel.from_pretrained(MODEL, folder)` loads it, where MODEL is an
    AutoModel, or an AutoModelForCausalLM for causal-lm.

    `remote` are the pairs of the server's blocks, by "block.layer path".
    """
    from peft import LoraConfig

    every = {path: [pair] for path, pair in client.adapter.pairs.items()} | remote
    low_rank = {path: [p for p in own if isinstance(p, LoraPair)] for path, own in every.items()}
    pairs = {path: summands for path, summands in low_rank.items() if summands}
    projections = [p for own in every.values() for p in own if isinstance(p, ProjectionPair)]
    tensors: dict[str, Tensor] = {}
    wide: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    if projections:
        _write(folder / PROJECTED, {"weight": ProjectionPair.summed(projections)})
    for path, summands in pairs.items():
        full = f"{client.stack}.{path}"
        key = f"{PREFIX}{full}"
        tensors[f"{key}.lora_A.weight"] = torch.cat([pair.A.detach() for pair in summands])
        tensors[f"{key}.lora_B.weight"] = torch.cat([pair.B.detach() for pair in summands], dim=1)
        width = sum(len(pair.A) for pair in summands)
        if width != rank:
            wide[full] = width
    config = LoraConfig(
        r=rank,
        lora_alpha=int(SCALE * rank),
        target_modules=sorted({path.rpartition(".")[2] for path in pairs}),
        rank_pattern=wide,
        alpha_pattern={path: SCALE * width for path, width in wide.items()},
        fan_in_fan_out=_has_conv1d(client.model.backbone),
        base_model_name_or_path=base_model,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    _write(folder / ADAPTER, tensors)


def export_weights(client: Client, remote: Mapping[str, Tensor], folder: Path) -> None:
    """Write `folder` so that AutoModel, or AutoModelForCausalLM for causal-lm, loads it.

    `remote` are the weights of the server's blocks, by "block.name".
    """
    root: Any = client.model.root
    tensors = {name: parameter.detach() for name, parameter in root.named_parameters()}
    tensors |= {f"{client.stack}.{name}": weight for name, weight in remote.items()}
    folder.mkdir(parents=True, exist_ok=True)
    root.config.save_pretrained(str(folder))
    _write(folder / WEIGHTS, tensors)


def export_head(head: nn.Module, folder: Path) -> None:
    """What of a head was trained."""
    weights = {
        name: parameter.detach()
        for name, parameter in head.named_parameters()
        if parameter.requires_grad
    }
    if weights:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / HEAD, weights)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(contiguous, metadata={"format": "pt"}))


def _has_conv1d(backbone: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in backbone.modules())
