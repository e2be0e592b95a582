"""What a client's model makes of new texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from pydantic import NonNegativeFloat, PositiveInt

from ..catalog.files import Contract
from ..errors import FieldError, UnsupportedModelError
from .data import Row
from .label_prior import Mode, prior_of_counts
from .merge import Merged

BATCH = 32


class Prediction(Contract):
    text: str
    label: str
    probability: NonNegativeFloat
    """Of that label; all classes sum to 1."""
    truth: str | None = None
    """The label in the data, if they have one."""


class Predictions(Contract):
    client: str
    model: str
    classes: tuple[str, ...]
    rows: PositiveInt
    accuracy: NonNegativeFloat | None = None
    """Share of the rows with a label whose prediction is right; none without such rows."""
    predictions: tuple[Prediction, ...]


def predict(merged: Merged, rows: Sequence[Row], mode: Mode | None = None) -> Predictions:
    """A prediction for each row; a row without a label has "". A model that was trained with its
    client's label prior predicts with it in personal mode, the default, and without it in global
    mode.

    Raises UnsupportedModelError for a model without classes, FieldError for a mode that makes no
    difference.
    """
    if merged.plan.settings.task != "classification":
        raise UnsupportedModelError(
            f"{merged.client}: its model is for {merged.plan.settings.task}; flexp predicts "
            "classes of texts",
            "write it with `flexp export`, and use it with transformers",
        )
    if mode is not None and not merged.settings.label_prior:
        raise FieldError(
            "--mode: the run was not trained with --label-prior, so its models have one mode",
            "leave --mode out",
        )
    prior_C = _prior(merged) if merged.settings.label_prior and mode != "global" else None
    made = []
    for row, probabilities_C in zip(rows, _probabilities(merged, rows, prior_C), strict=True):
        best = int(probabilities_C.argmax())
        made.append(
            Prediction(
                text=row.text,
                label=merged.classes[best],
                probability=float(probabilities_C[best]),
                truth=row.label or None,
            )
        )
    judged = [one.label == one.truth for one in made if one.truth is not None]
    return Predictions(
        client=merged.client,
        model=merged.summary.model,
        classes=merged.classes,
        rows=len(made),
        accuracy=sum(judged) / len(judged) if judged else None,
        predictions=tuple(made),
    )


def _prior(merged: Merged) -> torch.Tensor:
    """Of the client's training rows [C]."""
    counts = merged.summary.clients[merged.client].data.classes
    return prior_of_counts(torch.tensor([counts.get(label, 0) for label in merged.classes]))


@torch.no_grad()
def _probabilities(
    merged: Merged, rows: Sequence[Row], prior_C: torch.Tensor | None
) -> Iterator[torch.Tensor]:
    """Class probabilities [C] of each row."""
    for start in range(0, len(rows), BATCH):
        texts = [row.text for row in rows[start : start + BATCH]]
        inputs = merged.batcher.inputs(merged.batcher.token_ids(texts))
        logits_BC = merged.model(inputs).float()
        yield from (logits_BC if prior_C is None else logits_BC + prior_C).softmax(-1)
