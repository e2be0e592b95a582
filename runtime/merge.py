"""A client's model in one piece, from a run folder: base weights, adapter and head together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ..catalog.files import read_contract
from ..catalog.models.blocks import block_stack
from ..catalog.models.build import load_model
from ..catalog.models.entry import checkpoint_folder
from ..catalog.models.heads import TaskModel
from ..catalog.models.lora import SCALE
from ..catalog.models.projection import project
from ..catalog.progress import Progress
from ..errors import MissingFileError, RunError, UnknownNameError
from ..planner.plan import Plan, read_plan
from .assemble import check_model
from .batches import Batcher
from .export import ADAPTER, HEAD, PREFIX, PROJECTED, WEIGHTS
from .image_batches import ImageBatcher
from .records import Summary, TrainSettings
from .run_folder import CLIENTS, PLAN, SETTINGS, completed, resume_command

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, kw_only=True)
class Merged:
    client: str
    model: TaskModel
    config: PretrainedConfig
    """The base model's own."""
    batcher: Batcher
    classes: tuple[str, ...]
    plan: Plan
    settings: TrainSettings
    summary: Summary


def load_merged(run: Path, client: str, model: str | None, progress: Progress) -> Merged:
    """The model that `client` took away from a complete run; `model` says where the base weights
    are, if not where the run found them.

    Raises MissingFileError, RunError (not complete), UnknownNameError (no such client) or PlanError
    (another model).
    """
    plan, settings, summary = _read(run)
    if client not in summary.clients:
        raise UnknownNameError("client", client, sorted(summary.clients), f"{run}: ")
    base = model or settings.model
    config = check_model(plan, base)
    folder = checkpoint_folder(base, progress)
    bare = plan.settings.model_copy(update={"labels": len(summary.classes), "method": "head"})
    whole = load_model(folder, config, bare)
    _take(whole, run / CLIENTS / client)
    return Merged(
        client=client,
        model=whole.eval(),
        config=config,
        batcher=_batcher(folder, whole, plan.settings.length),
        classes=summary.classes,
        plan=plan,
        settings=settings,
        summary=summary,
    )


def _batcher(folder: Path, whole: TaskModel, length: int) -> Batcher:
    """For new texts or images."""
    from transformers import AutoTokenizer

    backbone: Any = whole.backbone
    if backbone.main_input_name == "pixel_values":
        return ImageBatcher(folder, backbone.config, Path())
    return Batcher(AutoTokenizer.from_pretrained(folder), length)


def _take(whole: TaskModel, folder: Path) -> None:
    """Put what the client took away in place."""
    if (folder / ADAPTER).exists():
        merge(whole.root, safetensors.torch.load_file(folder / ADAPTER))
    if (folder / PROJECTED).exists():
        _, blocks = block_stack(whole.root)
        project(blocks[-1], _linear(safetensors.torch.load_file(folder / PROJECTED)["weight"]))
    if (folder / WEIGHTS).exists():
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        with torch.no_grad():
            for name, parameter in whole.root.named_parameters():
                parameter.copy_(weights[name])
    if (folder / HEAD).exists():
        whole.head.load_state_dict(safetensors.torch.load_file(folder / HEAD))


def _linear(weight: Tensor) -> nn.Linear:
    rows, columns = weight.shape
    layer = nn.Linear(columns, rows, bias=False, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@torch.no_grad()
def merge(root: nn.Module, adapter: dict[str, Tensor]) -> None:
    """Add the adapter's s B A to the weights that it adapts. `adapter` has peft's names."""
    for name, A in adapter.items():
        path, is_A, _ = name.removeprefix(PREFIX).partition(".lora_A.")
        if is_A:
            layer: Any = root.get_submodule(path)
            update = SCALE * (adapter[name.replace("lora_A", "lora_B")] @ A)
            layer.weight += (
                update if isinstance(layer, nn.Linear) else update.T
            )  # Conv1D: [in, out]


def _read(run: Path) -> tuple[Plan, TrainSettings, Summary]:
    if not (run / SETTINGS).is_file():
        raise MissingFileError(run / SETTINGS, f"{run} is not a run's folder")
    summary = completed(run)
    if summary is None:
        raise RunError(f"the run in {run} is not complete", f"go on with: {resume_command(run)}")
    return read_plan(run / PLAN), read_contract(TrainSettings, run / SETTINGS), summary
