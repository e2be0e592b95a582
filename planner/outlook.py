"""What is known of a box, and so of those of its choices that are better than a target.

Let L be a bound from prices, and r >= 0 the reduced costs behind it. A choice with a member on
column o costs at least L + r[o]; one whose place in the box is the share t of the way to the high
end of an edge at least L + t · r there. So where choices are to cost less than L and some room,
none has a member on a column with r[o] above the room, and its place is where t · r is not above
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .boxes import Box
from .cornered import Cornered
from .corners import Point
from .solver.lagrangian import Evaluation, Lagrangian
from .solver.listing import list_choices
from .solver.problem import BoolArray, FloatArray, IntArray

ROUNDING = 1e-9
CLEAR = 0.1
"""Of the room: an end of an edge that costs this much more is not where the bound is about."""


@dataclass(frozen=True, eq=False)
class Outlook:
    bound: float
    """No choice of the box has a lower value; inf: there is none."""
    columns: IntArray
    """int64[n] of the box's columns: those that its choices may take."""
    lagrangian: Lagrangian | Cornered
    at: Evaluation
    """The prices behind the bound."""
    closes: float | None = None
    """Where the Lagrangian has to be to close the box; None: at the target itself."""

    def room(self, target: float) -> float:
        """By how much L may rise before no choice of the box is better than the target."""
        closes = target if self.closes is None else self.closes
        return max(closes - self.at.bound, 0.0) + ROUNDING * abs(self.at.bound)

    def useful(self, box: Box, target: float) -> BoolArray:
        """bool[N]: the columns of the box that better choices may take."""
        found = np.zeros(len(box.fast.apart), dtype=bool)
        found[self.columns] = self.alone <= self.room(target)
        return found

    def listed(self, box: Box, target: float, most: int) -> IntArray | None:
        """int64[M, N]: the choices of the box that may be better; None where there are more than
        `most`."""
        problem = self.lagrangian.problem
        found = list_choices(problem, self.reduced, self.room(target), most)
        if found is None:
            return None
        counts = np.zeros((len(found), len(box.fast.apart)), dtype=np.int64)
        counts[:, self.columns] = found
        return counts

    def narrowed(self, box: Box, target: float) -> tuple[Point, Point]:
        """The ends of the part of the box where better choices are."""
        if self._of_ends is None:
            return box.low, box.high
        price, room = self._of_ends, self.room(target)
        share = np.ones_like(price)
        np.divide(room, price, out=share, where=price > room)
        low, high = box.place(1 - share[:, 0]), box.place(share[:, 1])
        return (low if box.linked else Point(low.level, box.low.use)), high

    def likely(self, box: Box, target: float) -> Point:
        """The place in the box that the bound is about: in the middle, but at the end of an edge
        whose other end takes a good part of the room."""
        assert self._of_ends is not None
        price, room = self._of_ends, CLEAR * self.room(target)
        at = np.full(len(price), 0.5)
        at[price[:, 0] > room] = 1.0
        at[price[:, 1] > room] = 0.0
        return box.place(at)

    @cached_property
    def reduced(self) -> FloatArray:
        """float64[n]: a choice costs at least L and what all of its members are reduced by."""
        return self.lagrangian.reduced_costs(self.at)

    @cached_property
    def alone(self) -> FloatArray:
        """float64[n]: a choice with a member on a column costs at least L and that."""
        found = self.lagrangian
        return found.alone(self.at) if isinstance(found, Cornered) else self.reduced

    @cached_property
    def _of_ends(self) -> FloatArray | None:
        """float64[D, 2]"""
        found = self.lagrangian
        return found.of_ends(self.at) if isinstance(found, Cornered) else None
