"""What a depth is worth: a curve of measured accuracy over the share of blocks on the device."""

from __future__ import annotations

import itertools
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..catalog.files import Contract, read_contract
from .solver.problem import FloatArray


class ValuePoint(Contract):
    depth_share: float = Field(gt=0, le=1)
    """Blocks on the device, of all blocks."""
    value: float
    """For instance the mean personal accuracy of clients at this depth."""


class ValueCurve(Contract):
    """Straight lines between the points, level before the first and after the last."""

    schema_version: Literal[1] = 1
    source: str = Field(min_length=1)
    """How the values were measured."""
    date: str = ""
    """When: a year and a month."""
    points: tuple[ValuePoint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _shares_rise(self) -> ValueCurve:
        shares = [point.depth_share for point in self.points]
        if any(low >= high for low, high in itertools.pairwise(shares)):
            raise ValueError("depth_share must rise from point to point")
        return self

    def at(self, share: FloatArray) -> FloatArray:
        """The values at these shares, of the same shape."""
        return np.interp(
            share, [p.depth_share for p in self.points], [p.value for p in self.points]
        )

    def value(self, share: float) -> float:
        """At one share."""
        return float(self.at(np.array(share)))

    @cached_property
    def best(self) -> float:
        return max(point.value for point in self.points)


DEFAULT_CURVE = ValueCurve(
    source="all-MiniLM-L6-v2 on 20 Newsgroups, 16 clients, Dirichlet(0.3), LoRA rank 8: mean "
    "personal accuracy with every client at depth 1, and at depth 5, of 6 blocks",
    date="2026-11",
    points=(
        ValuePoint(depth_share=1 / 6, value=0.760),
        ValuePoint(depth_share=5 / 6, value=0.739),
    ),
)
"""One model and one data set: measure your own where it matters."""


def read_curve(path: Path | None) -> ValueCurve:
    """The curve in `path`, or the default; raises as `read_contract`."""
    return DEFAULT_CURVE if path is None else read_contract(ValueCurve, path)
