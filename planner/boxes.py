"""What every choice keeps whose own queues and links are in a box, at no less than it costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .program import C5_QUEUE, C6_DOWN, C6_UP, Program, Row, steps_per_second
from .solver.problem import BoolArray, FloatArray, Problem

DIFFERENCE = 1e-4
"""Relative step of the levels by which slopes are taken."""
OWN_MATTERS = 0.03
"""Of the width of a box's links: what a client itself adds is not worth a closer look below."""
STRAY = 1e-6
"""Relative distance by which lines keep off the curves, which come from a table and are straight
between its points."""
OWN_ROUNDS = 3
"""Each brings what a client itself adds to the links closer to what it is in the box."""
SAME = 1e-9
"""Relative difference of step times that is nothing beside the gaps that are proven."""
MOST_LINKS = 2
THIN = 0.02
"""Uses are among a box's corners with at most so many links, whose edges are so close: prices that
hold links to the middle of a wide box say nothing about its corners."""
WIDE = 2.0
"""Ratio of a box's levels from which lines between its corners say nothing."""
TINY = 1e-300
LOWEST = 1e-3
"""Of a box's high edge: levels below are not told apart by their ratio."""


@dataclass(frozen=True, eq=False)
class Point:
    """How long the queues are, and how full the servers' links."""

    level: FloatArray
    """float64[K], seconds of a visit's wait"""
    use: FloatArray
    """float64[2, K]: of the links to the servers and from them, 0 to 1."""


class Boxes:
    """Makes boxes of a program; those with the same links share what doesn't depend on levels."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._links: tuple[bytes, bytes] | None = None
        self._ends = (program, program)

    def box(self, low: Point, high: Point) -> Box:
        links = (low.use.tobytes(), high.use.tobytes())
        if links != self._links:
            self._links = links
            self._ends = _same(self.program.at_least(low.use), self.program.at_most(high.use))
        fast, slow = self._ends
        width = float((high.use - low.use).max())
        if slow is not fast and fast.own_use.max() > OWN_MATTERS * width:
            for _ in range(OWN_ROUNDS):
                fast = fast.with_link_use(low.use, low.level)
                slow = slow.with_link_use(high.use, high.level)
            fast, slow = _same(fast, slow)
        return Box(low, high, fast, slow)


def _same(fast: Program, slow: Program) -> tuple[Program, Program]:
    """The first one twice where the links don't matter."""
    apart = slow.elsewhere - fast.elsewhere
    return (fast, fast) if (apart <= SAME * fast.elsewhere).all() else (fast, slow)


@dataclass(frozen=True, eq=False)
class Box:
    """From `low` to `high`. A step is no shorter than at low, asks no more often than at low and no
    less often than at high."""

    low: Point
    high: Point
    fast: Program
    """Steps are no longer elsewhere than anywhere in the box."""
    slow: Program
    """Nor shorter."""

    @cached_property
    def in_time(self) -> BoolArray:
        """bool[N]: the columns that keep the deadline somewhere in the box, if not elsewhere."""
        return self.fast.in_time(self.low.level)

    @cached_property
    def middle(self) -> FloatArray:
        """float64[K]: a level within."""
        return np.sqrt(np.maximum(self.low.level, self.high.level * LOWEST) * self.high.level)

    @property
    def wide(self) -> bool:
        """Whether the levels are too far apart for lines between them."""
        return bool((self.high.level > WIDE * np.maximum(self.low.level, TINY)).any())

    @property
    def thin(self) -> bool:
        """Whether the links' uses are among the corners."""
        apart = self.high.use - self.low.use
        return apart.size <= MOST_LINKS and bool((apart <= THIN).all())

    @property
    def centre(self) -> Point:
        return Point(self.middle, (self.low.use + self.high.use) / 2)

    def corners(self) -> Iterator[Point]:
        """Of the levels, and of the links' uses where that makes few."""
        edges = [*zip(self.low.level, self.high.level, strict=True)]
        links: list[tuple[float, ...]] = [(use,) for use in self.low.use.flat]
        if self.thin:
            links = list(zip(self.low.use.flat, self.high.use.flat, strict=True))
        for corner in itertools.product(*edges, *links):
            level, use = np.array(corner[: len(edges)]), np.array(corner[len(edges) :])
            yield Point(level, use.reshape(self.low.use.shape))

    def at(self, point: Point, objective: int = 0) -> Problem:
        """What choices with these levels and uses keep, drawn so that a Lagrangian over the box is
        least at a corner.

        Step times and shares without a kink bend one way within a box, so the lower one of such a
        function and its tangent at the middle lies below it in all of the box when taken at the
        corners; of others the least in the box is taken. Transfers are convex in the links' use.
        """
        fast = self._lines(self.fast, point.level)
        slow = fast if self.slow is self.fast else self._lines(self.slow, point.level)
        seconds, use = fast.least[0], None
        if self.thin:
            seconds, use = seconds + self._transfers(point.use), point.use
        return self._problem(seconds, slow.least[1:], fast.most[1:], objective, use)

    def lowest(self, objective: int = 0) -> Problem:
        """As `at`, for all of the box at once."""
        seconds, *most = self._curves(self.fast, self.low.level)
        _, *least = self._curves(self.slow, self.high.level)
        return self._problem(seconds, least, most, objective, None)

    def _transfers(self, use: FloatArray) -> FloatArray:
        """float64[N]: by how much transfers take longer than at the box's low edge, at least."""
        middle = self.centre.use
        found = self.fast.elsewhere_at(use)
        there = self.fast.elsewhere_at(middle)
        further = self.fast.elsewhere_at(middle + DIFFERENCE * (use - middle))
        along = there + (further - there) / DIFFERENCE
        return np.minimum(found, along) - self.fast.elsewhere

    def _problem(
        self,
        seconds: FloatArray,
        least: Sequence[FloatArray],
        most: Sequence[FloatArray],
        objective: int,
        use: FloatArray | None,
    ) -> Problem:
        """`least` and `most` are shares and steps per second. Besides the limits, a choice fills
        its own queues and links: to `use`, or without one at most to the high edge and at least to
        the low one."""
        rows = []
        way = {C6_DOWN: 0, C6_UP: 1}
        for (name, weights, cap), (_, above, _), row in zip(
            self.slow.shared_rows(*least),
            self.fast.shared_rows(*most),
            self.fast.rows,
            strict=True,
        ):
            low = high = cap
            if row.label in way:
                edge = way[row.label], row.kind
                machines = float(self.fast.servers.count[row.kind])
                low = machines * float((self.low.use if use is None else use)[edge])
                high = machines * float((self.high.use if use is None else use)[edge])
            rows.append((name, weights, min(cap, high)))
            if row.label in (C5_QUEUE, *way):
                rows.append((Row(f"{row.label}_reached", row.kind).name, -above, -low))
        return self.fast.problem(objective, seconds, rows)

    def _lines(self, program: Program, level: FloatArray) -> _Lines:
        here, there = self._curves(program, level), self._curves(program, self.middle)
        further = self._curves(program, self.middle * (1 + DIFFERENCE))
        towards = np.zeros_like(program.apart)
        for k, mine in enumerate(program.on):
            width = DIFFERENCE * self.middle[k]
            towards[mine] = (level[k] - self.middle[k]) / width
        values = [
            (value, middle + towards * (beyond - middle))
            for value, middle, beyond in zip(here, there, further, strict=True)
        ]
        low, high = (self._curves(program, end.level) for end in (self.low, self.high))
        least, most = (low[0], *high[1:]), (high[0], *low[1:])
        smooth = self._smooth[id(program)]
        return _Lines(
            tuple(
                np.where(smooth, np.minimum(*pair) * (1 - STRAY), edge)
                for pair, edge in zip(values, least, strict=True)
            ),
            tuple(
                np.where(smooth, np.maximum(*pair) * (1 + STRAY), edge)
                for pair, edge in zip(values, most, strict=True)
            ),
        )

    @cached_property
    def _smooth(self) -> dict[int, BoolArray]:
        """Of `fast` and `slow`, bool[N]: whether a column's curves have no kink in the box."""
        edges = self.low.level, self.high.level
        return {id(program): program.smooth(*edges) for program in (self.fast, self.slow)}

    def _curves(self, program: Program, level: FloatArray) -> _Curves:
        """Each level is computed once: corners, middle and edges share some."""
        key = id(program), level.tobytes()
        if key not in self._known:
            steps = program.steps(level)
            self._known[key] = steps.seconds, steps.share, steps_per_second(steps)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[int, bytes], _Curves]:
        return {}


_Curves = tuple[FloatArray, FloatArray, FloatArray]
"""Seconds, shares and steps per second."""


@dataclass(frozen=True, eq=False)
class _Lines:
    """Seconds, shares and steps per second: drawn straight from corner to corner, `least` runs
    below them and `most` above."""

    least: tuple[FloatArray, ...]
    most: tuple[FloatArray, ...]
