"""A client's merged model as a checkpoint that transformers loads without flexp."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from typing import Any

import torch

from ..catalog.files import write_atomic
from ..catalog.models.heads import CausalLM, Classifier, TokenClassifier
from ..catalog.models.projection import projected_block
from ..errors import FieldError
from . import exported_classifier
from .exported_classifier import FlexpClassifier, FlexpClassifierConfig
from .image_batches import ImageBatcher
from .merge import Merged

CODE = "modeling_flexp"
AUTO = {
    "classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "image-classification": "AutoModelForImageClassification",
    "causal-lm": "AutoModelForCausalLM",
}
SORTS = {
    "classification": ("A classifier of texts", "accuracy"),
    "token-classification": ("A classifier of words", "accuracy"),
    "image-classification": ("A classifier of images", "accuracy"),
    "causal-lm": (
        "A language model, with what was trained merged into its weights",
        "next words predicted right",
    ),
}
"""By task: what it is, and what its figures count."""
CODE_CARD = f"""\
What `trust_remote_code` runs is {CODE}.py in this folder: a transformer, the mean over its tokens
and a linear layer. """


def check_empty(folder: Path) -> None:
    """Raise FieldError where something would be overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FieldError(f"--output: {folder} exists and is not an empty folder", "name another")


def export_merged(merged: Merged, folder: Path) -> str:
    """Write config.json, model.safetensors, the tokenizer or image settings, and the code of a
    classifier that is no class of the library; the line that loads it."""
    model = as_transformers(merged)
    model.save_pretrained(folder)
    if isinstance(model, FlexpClassifier):
        code = Path(exported_classifier.__file__).read_text(encoding="utf-8")
        write_atomic(folder / f"{CODE}.py", code)
    if isinstance(merged.batcher, ImageBatcher):
        said = json.dumps(merged.batcher.preprocessor(), indent=2)
        write_atomic(folder / "preprocessor_config.json", said)
    else:
        merged.batcher.tokenizer.save_pretrained(folder)
    write_atomic(folder / "README.md", _card(merged, model))
    return _loading(merged, model, folder)


def _loading(merged: Merged, model: Any, folder: Path | str) -> str:
    trust = ", trust_remote_code=True" if isinstance(model, FlexpClassifier) else ""
    return f"{AUTO[merged.plan.settings.task]}.from_pretrained({str(folder)!r}{trust})"


def as_transformers(merged: Merged) -> Any:
    """The same weights under a class that transformers alone can run: the library's own, where it
    has one of the same function."""
    model = merged.model
    if isinstance(model, CausalLM):
        return model.model
    own = as_library_class(merged, model) if isinstance(model, TokenClassifier) else None
    return own or _as_flexp_classifier(merged, model)


def as_library_class(merged: Merged, model: TokenClassifier) -> Any:
    """A class for each token is, in most families, one linear layer of the library's too; None
    where it is more."""
    import transformers

    mapping: Any = transformers.AutoModelForTokenClassification._model_mapping
    config = copy.deepcopy(merged.config)
    if type(config) not in mapping or projected_block(model.backbone):
        return None
    config.id2label, config.label2id = _labels(merged)
    with torch.device("meta"):
        made = mapping[type(config)](config)
    inside = f"{made.base_model_prefix}."
    above = {name for name, _ in made.named_parameters() if not name.startswith(inside)}
    (layer, *others) = {name.rpartition(".")[0] for name in above}
    if others or above != {f"{layer}.weight", f"{layer}.bias"}:
        return None
    setattr(made, made.base_model_prefix, model.backbone)
    made.set_submodule(layer, model.head)
    return made.eval()


def _labels(merged: Merged) -> tuple[dict[int, str], dict[str, int]]:
    return dict(enumerate(merged.classes)), {name: n for n, name in enumerate(merged.classes)}


def _as_flexp_classifier(merged: Merged, model: Classifier | TokenClassifier) -> FlexpClassifier:
    backbone = model.backbone
    poolerless = "add_pooling_layer" in inspect.signature(type(backbone)).parameters
    names, numbers = _labels(merged)
    config = FlexpClassifierConfig(
        backbone=merged.config,
        width=model.head.in_features,
        backbone_arguments={"add_pooling_layer": False} if poolerless else {},
        per_token=isinstance(model, TokenClassifier),
        projected=projected_block(backbone),
        id2label=names,
        label2id=numbers,
        dtype=merged.plan.settings.dtype,
    )
    config.auto_map = {
        "AutoConfig": f"{CODE}.{FlexpClassifierConfig.__name__}",
        AUTO[merged.plan.settings.task]: f"{CODE}.{FlexpClassifier.__name__}",
    }
    with torch.device("meta"):
        made = FlexpClassifier(config)
    made.backbone, made.head = backbone, model.head
    return made


def _card(merged: Merged, model: Any) -> str:
    summary, settings = merged.summary, merged.plan.settings
    accuracy = summary.clients[merged.client].after
    what, judged = SORTS[settings.task]
    if merged.classes:
        what += f" of {len(merged.classes)} classes"
    code = CODE_CARD if isinstance(model, FlexpClassifier) else ""
    images = isinstance(merged.batcher, ImageBatcher)
    rows = "images" if images else f"texts of up to {settings.length} tokens"
    reader = "AutoImageProcessor" if images else "AutoTokenizer"
    trust = ", trust_remote_code=True" if code else ""
    return f"""\
# {merged.client}: {summary.model}, personalised with flexp

{what}.

| | |
|---|---|
| data | {summary.data} |
| training | {summary.steps} steps of {settings.batch} {rows} |
| {judged}, the client's own test rows | {accuracy.personal:.1%} |
| {judged}, the test rows of all clients | {accuracy.overall:.1%} |

    model = {_loading(merged, model, "FOLDER")}
    reader = {reader}.from_pretrained('FOLDER'{trust})

{code}The weights derive from {summary.model} and are under its licence.
"""
