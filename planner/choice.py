"""What a search ends with."""

from __future__ import annotations

from dataclasses import dataclass

from .program import Program
from .solver.problem import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Choice:
    """int64[N] members on each column, the level of each kind of server, and the proven bound of
    each objective. `program` is at the links' use that the choice makes."""

    program: Program
    x: IntArray
    level: FloatArray
    bounds: tuple[float, ...]
