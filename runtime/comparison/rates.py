"""Learning rates by algorithm: what `flexp tune` writes and `flexp compare --rates` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat

from ...catalog.files import Contract, read_contract
from ..algorithms.algorithm import Options


class Rate(Contract):
    learning_rate: PositiveFloat
    head_rate: PositiveFloat


class Rates(Contract):
    schema_version: Literal[1] = 1
    source: str = Field(min_length=1)
    """How they were chosen."""
    rates: dict[str, Rate]
    """By algorithm, as people write it ("fedavg/prior")."""

    def applied(self, label: str, options: Options) -> Options:
        """The options with the algorithm's rates; unchanged where it has none."""
        rate = self.rates.get(label)
        return options if rate is None else options.model_copy(update=rate.model_dump())


def read_rates(path: Path) -> Rates:
    """Raises as `read_contract`."""
    return read_contract(Rates, path)
