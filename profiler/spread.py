"""Repeated measurements of one quantity, summed up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pydantic import NonNegativeFloat, PositiveInt

from ..catalog.files import Contract


class Spread(Contract):
    """What several samples showed; the unit is that of the field that holds it."""

    min: NonNegativeFloat
    median: NonNegativeFloat
    max: NonNegativeFloat
    samples: PositiveInt

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread | None:
        """None for no samples: `Spread.of([1, 2, 6])` has median 2."""
        if not samples:
            return None
        return cls(
            min=min(samples),
            median=statistics.median(samples),
            max=max(samples),
            samples=len(samples),
        )
