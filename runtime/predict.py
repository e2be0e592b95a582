"""What a client's model makes of new texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from pydantic import NonNegativeFloat, PositiveInt

from ..catalog.files import Contract
from ..catalog.models.heads import Classifier
from ..errors import UnsupportedModelError
from .data import Row
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


def predict(merged: Merged, rows: Sequence[Row]) -> Predictions:
    """A prediction for each row; a row without a label has "".

    Raises UnsupportedModelError for a model without classes.
    """
    if not isinstance(merged.model, Classifier):
        raise UnsupportedModelError(
            f"{merged.client}: its model continues texts and has no classes to predict",
            "write it with `flexp export`, and generate with transformers",
        )
    made = []
    for row, probabilities_C in zip(rows, _probabilities(merged, rows), strict=True):
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


@torch.no_grad()
def _probabilities(merged: Merged, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
    """Class probabilities [C] of each row."""
    for start in range(0, len(rows), BATCH):
        texts = [row.text for row in rows[start : start + BATCH]]
        inputs = merged.batcher.inputs(merged.batcher.token_ids(texts))
        yield from merged.model(inputs).float().softmax(-1)
