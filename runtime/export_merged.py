"""A client's merged model as a checkpoint that transformers loads without flexp."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch

from ..catalog.files import write_atomic
from ..catalog.models.heads import CausalLM, Classifier
from ..errors import FieldError
from . import exported_classifier
from .exported_classifier import FlexpClassifier, FlexpClassifierConfig
from .merge import Merged

CODE = "modeling_flexp"
CODE_CARD = f"""\
What `trust_remote_code` runs is {CODE}.py in this folder: a transformer, the mean over its tokens
and a linear layer. """


def check_empty(folder: Path) -> None:
    """Raise FieldError where something would be overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FieldError(f"--output: {folder} exists and is not an empty folder", "name another")


def export_merged(merged: Merged, folder: Path) -> None:
    """Write config.json, model.safetensors, the tokenizer, and the code of a classifier."""
    if isinstance(merged.model, CausalLM):
        merged.model.model.save_pretrained(folder)
    else:
        as_transformers(merged, merged.model).save_pretrained(folder)
        code = Path(exported_classifier.__file__).read_text(encoding="utf-8")
        write_atomic(folder / f"{CODE}.py", code)
    merged.batcher.tokenizer.save_pretrained(folder)
    write_atomic(folder / "README.md", _card(merged))


def loading(merged: Merged, folder: Path | str) -> str:
    """The line that loads what was exported."""
    if isinstance(merged.model, CausalLM):
        return f"AutoModelForCausalLM.from_pretrained({str(folder)!r})"
    return (
        f"AutoModelForSequenceClassification.from_pretrained({str(folder)!r}, "
        "trust_remote_code=True)"
    )


def as_transformers(merged: Merged, classifier: Classifier) -> FlexpClassifier:
    """The same weights under a class that transformers alone can run."""
    backbone = classifier.backbone
    poolerless = "add_pooling_layer" in inspect.signature(type(backbone)).parameters
    config = FlexpClassifierConfig(
        backbone=merged.config,
        width=classifier.head.in_features,
        backbone_arguments={"add_pooling_layer": False} if poolerless else {},
        id2label=dict(enumerate(merged.classes)),
        label2id={label: number for number, label in enumerate(merged.classes)},
        dtype=merged.plan.settings.dtype,
    )
    config.auto_map = {
        "AutoConfig": f"{CODE}.{FlexpClassifierConfig.__name__}",
        "AutoModelForSequenceClassification": f"{CODE}.{FlexpClassifier.__name__}",
    }
    with torch.device("meta"):
        model = FlexpClassifier(config)
    model.backbone, model.head = backbone, classifier.head
    return model


def _card(merged: Merged) -> str:
    summary, settings = merged.summary, merged.plan.settings
    accuracy = summary.clients[merged.client].after
    if isinstance(merged.model, CausalLM):
        what, code, trust = "A language model, with an adapter merged into its weights.", "", ""
        judged = "next words predicted right"
    else:
        what, code = f"A classifier over {len(merged.classes)} classes.", CODE_CARD
        trust = ", trust_remote_code=True"
        judged = "accuracy"
    return f"""\
# {merged.client}: {summary.model}, personalised with flexp

{what}

| | |
|---|---|
| data | {summary.data} |
| training | {summary.steps} steps of {settings.batch} texts of up to {settings.length} tokens |
| {judged}, the client's own test rows | {accuracy.personal:.1%} |
| {judged}, the test rows of all clients | {accuracy.overall:.1%} |

    model = {loading(merged, "FOLDER")}
    tokenizer = AutoTokenizer.from_pretrained('FOLDER'{trust})

{code}The weights derive from {summary.model} and are under its licence.
"""
