"""Fixed points of maps that overshoot: x = f(x), each component damped by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .solver.problem import FloatArray

FIRST = 0.5
"""Of the way from x to f(x) that is gone at first."""
SLOWER, FASTER = 0.5, 1.2


@dataclass
class Relaxation:
    """x + ω · (f(x) − x), where ω is smaller for a component that went past its aim, and larger for
    one that hasn't arrived.

    A constant ω swings for ever where f falls steeply: messages on a link that is nearly full take
    so long that the link empties.
    """

    factor: FloatArray | float = FIRST
    before: FloatArray | None = field(default=None, repr=False)

    def __call__(self, at: FloatArray, found: FloatArray) -> FloatArray:
        """The next x, from x and f(x), float64 of any one shape."""
        away = found - at
        if self.before is not None:
            past = away * self.before < 0
            self.factor = np.where(
                past, SLOWER * self.factor, np.minimum(1.0, FASTER * self.factor)
            )
        self.before = away
        return at + self.factor * away
