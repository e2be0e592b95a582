"""From a configuration or a checkpoint to a task model that is ready to be profiled or split."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from ...errors import UnsupportedModelError
from .blocks import block_stack, check_one_stack
from .entry import without_dropout
from .heads import CausalLM, Classifier, Headless, TaskModel, TokenClassifier
from .lora import activate, default_targets, lora_linears, new_adapter, wrap_linears
from .projection import PROJECTION, Projection, project

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


CLASSIFIERS: dict[str, type[Classifier] | type[TokenClassifier]] = {
    "classification": Classifier,
    "image-classification": Classifier,
    "token-classification": TokenClassifier,
}
"""The heads that flexp makes itself."""
NEEDS_WORDS = {
    "causal-lm": "words to predict",
    "token-classification": "words to label",
}
Trim = Callable[[Any], None]
"""Takes out of a library's model what a machine does not hold."""


def nothing(model: Any) -> None:
    """The trim of a machine that holds a whole model."""


class ModelSettings(Protocol):
    """What of the profile's settings shapes a model."""

    @property
    def task(self) -> str: ...
    @property
    def labels(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def lora_rank(self) -> int: ...
    @property
    def lora_targets(self) -> tuple[str, ...]: ...
    @property
    def dtype(self) -> str: ...


def build_model(config: PretrainedConfig, settings: ModelSettings) -> TaskModel:
    """The whole task model with random weights, adapters attached: what an unsplit run trains.

    Method "full" trains every weight; "lora" the adapters and a head over classes; "head" the
    head alone, which for causal-lm is the output embedding: where that is tied to the input
    embedding, the one table trains, and its gradient goes through every block.

    Dropout is off (see `without_dropout`). Build under `torch.device("meta")` to allocate nothing.
    """
    model = bare_model(config, settings)
    if settings.method == "lora":
        _, blocks = block_stack(model.backbone)
        linears = lora_linears(blocks, range(len(blocks)))
        activate(linears, new_adapter(linears, settings.lora_rank))
    return model


def bare_model(config: PretrainedConfig, settings: ModelSettings) -> TaskModel:
    """The task model with random weights, layers wrapped for adapters, none active."""
    config = without_dropout(config)
    model_class, arguments = _model_class(config, settings, head=True)
    return _with_head(_finish(model_class._from_config(config, **arguments), settings), settings)


def bare_backbone(config: PretrainedConfig, settings: ModelSettings) -> Headless:
    """As `bare_model`, without its head."""
    config = without_dropout(config)
    model_class, arguments = _model_class(config, settings, head=False)
    made = model_class._from_config(config, **arguments)
    return Headless(_finish(made, settings), _head_class(settings))


def load_model(
    folder: Path, config: PretrainedConfig, settings: ModelSettings, trim: Trim = nothing
) -> TaskModel:
    """The task model with the checkpoint's weights, layers wrapped for adapters, none active.

    What `trim` takes out is not loaded: it goes before weights are read.
    """
    return _with_head(_load(folder, config, settings, trim, head=True), settings)


def load_backbone(
    folder: Path, config: PretrainedConfig, settings: ModelSettings, trim: Trim = nothing
) -> Headless:
    """As `load_model`, without its head."""
    loaded = _load(folder, config, settings, trim, head=False)
    return Headless(loaded, _head_class(settings))


def _load(
    folder: Path, config: PretrainedConfig, settings: ModelSettings, trim: Trim, head: bool
) -> PreTrainedModel:
    from transformers.utils import logging

    config = without_dropout(config)
    model_class, arguments = _model_class(config, settings, head)
    logging.set_verbosity_error()  # its report lists all that is left out
    logging.disable_progress_bar()
    part = _trimmed(model_class, trim)
    loaded, found = part.from_pretrained(
        folder, config=config, use_safetensors=True, output_loading_info=True, **arguments
    )
    if missing := sorted(found["missing_keys"]):  # which the library would start at random
        raise UnsupportedModelError(
            f"{folder}: the checkpoint has no {missing[0]}"
            + (f", nor {len(missing) - 1} more of the model's weights" if missing[1:] else ""),
            f"take a checkpoint of {model_class.__name__}, or another --task",
        )
    loaded.__class__ = model_class
    return _finish(loaded, settings)


def _trimmed(model_class: Any, trim: Trim) -> Any:
    """`model_class`, whose models are trimmed as soon as they are made. The library then reads
    only the weights that they have left, with its own renaming, fusing and tying."""

    def make(self: Any, config: PretrainedConfig, *args: Any, **kwargs: Any) -> None:
        model_class.__init__(self, config, *args, **kwargs)
        trim(self)

    fields = {"__init__": make, "__module__": model_class.__module__}
    return type(model_class.__name__, (model_class,), fields)


def _finish(loaded: PreTrainedModel, settings: ModelSettings) -> PreTrainedModel:
    """No cache; frozen unless all trains; layers wrapped for adapters."""
    loaded.config.use_cache = False
    if settings.method != "full":
        loaded.requires_grad_(False)
    if settings.method == "lora":
        _wrap(loaded, settings)
    return loaded.train()


def _wrap(loaded: PreTrainedModel, settings: ModelSettings) -> None:
    _, blocks = block_stack(loaded)
    targets = tuple(name for name in settings.lora_targets if name != PROJECTION)
    wrap_linears(blocks, targets or default_targets(loaded.config.model_type, blocks))
    last = blocks[-1]
    if PROJECTION in settings.lora_targets and any(True for _ in last.children()):
        project(last, Projection(loaded.config.hidden_size, next(last.parameters())))


def _check_projection(settings: ModelSettings) -> None:
    if settings.task == "causal-lm" and PROJECTION in settings.lora_targets:
        raise UnsupportedModelError(
            f"--targets {PROJECTION}: a language model's own head has no place for one when its "
            "adapters are merged",
            f"leave {PROJECTION} out, or choose --task classification",
        )


def _with_head(loaded: PreTrainedModel, settings: ModelSettings) -> TaskModel:
    if settings.task == "causal-lm":
        if loaded.loss_type is None:
            loaded.loss_type = "ForCausalLM"  # what transformers takes as well, but with a warning
        model = CausalLM(loaded)
        if settings.method == "head":
            model.head.requires_grad_(True)
        return model.train()
    head = nn.Linear(_output_width(loaded.config), settings.labels, dtype=loaded.dtype)
    return CLASSIFIERS[settings.task](loaded, head).train()


def _head_class(settings: ModelSettings) -> type[TaskModel]:
    return CausalLM if settings.task == "causal-lm" else CLASSIFIERS[settings.task]


def _check_task(config: PretrainedConfig, task: str) -> None:
    """Raises UnsupportedModelError for a task that a model of this type can't do."""
    import transformers

    name = config.model_type
    base_class = transformers.AutoModel._model_mapping.get(type(config), None)
    if getattr(base_class, "main_input_name", "input_ids") == "pixel_values":
        if task in NEEDS_WORDS:
            raise UnsupportedModelError(
                f"{name} reads images: it has no {NEEDS_WORDS[task]} ({task})",
                "choose --task image-classification, or a model of text (bert, llama)",
            )
    elif task == "image-classification":
        raise UnsupportedModelError(
            f"{name} reads text: it has no images to classify ({task})",
            "choose --task classification, or a model of images (vit, dinov2)",
        )
    if task == "causal-lm" and type(config) in transformers.AutoModelForMaskedLM._model_mapping:
        raise UnsupportedModelError(
            f"{name} is an encoder: it reads both ways and has no causal-lm head",
            "choose --task classification, or a decoder (llama, gpt2)",
        )


def _output_width(config: PretrainedConfig) -> int:
    """The width of what the backbone returns; a small OPT projects its hidden state down."""
    return getattr(config, "word_embed_proj_dim", None) or config.hidden_size


def _model_class(
    config: PretrainedConfig, settings: ModelSettings, head: bool
) -> tuple[Any, dict[str, Any]]:
    """The library's class for the task, with its own head or without, and its arguments: dtype,
    attention, no unused pooler."""
    import transformers

    check_one_stack(config)
    _check_task(config, settings.task)
    _check_projection(settings)
    lm = head and settings.task == "causal-lm"
    auto = transformers.AutoModelForCausalLM if lm else transformers.AutoModel
    try:
        model_class: Any = auto._model_mapping[type(config)]
    except KeyError:
        raise UnsupportedModelError(
            f"transformers has no {settings.task} model for {config.model_type!r}",
            "choose another --task or another model",
        ) from None
    arguments: dict[str, Any] = {"dtype": getattr(torch, settings.dtype)}
    if getattr(model_class, "_supports_sdpa", False):
        arguments["attn_implementation"] = "sdpa"
    if "add_pooling_layer" in inspect.signature(model_class).parameters:
        arguments["add_pooling_layer"] = False
    return model_class, arguments
