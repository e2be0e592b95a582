"""Fixed points of maps that overshoot: x = f(x), each component by a secant of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .solver.problem import FloatArray

FIRST = 1.0
"""Of the way from x to f(x) that is gone at first."""
SLOWER, FASTER = 0.25, 1.2
"""The most by which this share changes at once."""
MOST = 1.0
"""The share never gets larger."""


@dataclass
class Relaxation:
    """x + ω · (f(x) − x), where ω would have led to the fixed point if f were straight between the
    last two x: f(x) − x changed by q over the last step, and ω by 1 / (1 − q).

    A constant ω swings for ever where f falls steeply: messages on a link that is nearly full take
    so long that the link empties.
    """

    factor: FloatArray | float = FIRST
    before: FloatArray | None = field(default=None, repr=False)

    def __call__(self, at: FloatArray, found: FloatArray) -> FloatArray:
        """The next x, from x and f(x), float64 of any one shape."""
        away = found - at
        if self.before is not None:
            left = 1 - np.divide(away, self.before, out=np.zeros_like(away), where=self.before != 0)
            change = 1 / np.clip(left, 1 / FASTER, 1 / SLOWER)
            self.factor = np.minimum(MOST, change * self.factor)
        self.before = away
        return at + self.factor * away
