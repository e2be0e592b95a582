"""What every choice keeps whose own queues and links are in a box, at no less than it costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .corners import Bounds, Point, at_corners
from .program import C5_QUEUE, WAY, Program, Row, Steps
from .solver.problem import BoolArray, FloatArray, IntArray, Problem

OWN_MATTERS = 0.03
"""Of the width of a box's links: what a client itself adds is not worth a closer look below."""
OWN_TOLERANCE = 1e-7
"""Nor is less than this."""
OWN_ROUNDS = 30
"""Each brings what a client itself adds to the links closer to what it is in the box."""
SAME = 1e-9
"""Relative difference of step times that is nothing beside the gaps that are proven."""
WIDE = 2.0
"""Ratio of a box's levels from which lines between its corners say nothing."""
MOST_USEFUL = 0.8
"""Share of the columns from which a program without the others is not worth its memory."""
SHRINK = 1 - 1e-9
"""Ratios of links' uses are rounded outwards by this."""


@dataclass(frozen=True, eq=False)
class Price:
    """What a member on a column costs; float64[N] each."""

    per_second: FloatArray
    """Of its step."""
    fixed: FloatArray

    @classmethod
    def nothing(cls, program: Program) -> Price:
        free = np.zeros_like(program.apart)
        return cls(free, free)

    def of(self, seconds: FloatArray) -> FloatArray:
        """float64[..., N]"""
        return self.per_second * seconds + self.fixed


class Boxes:
    """Makes boxes of a program; those with the same links share what doesn't depend on levels.

    `columns`, int64[N], are those of a larger program.
    """

    def __init__(self, program: Program, columns: IntArray | None = None) -> None:
        self.program = program
        self.columns = np.arange(len(program.apart)) if columns is None else columns
        self._links: tuple[bytes, bytes] | None = None
        self._ends = (program, program)

    def box(self, low: Point, high: Point) -> Box:
        links = (low.use.tobytes(), high.use.tobytes())
        if links != self._links:
            self._links = links
            self._ends = _same(self.program.at_least(low.use), self.program.at_most(high.use))
        fast, slow = self._ends
        if slow is not fast:
            enough = max(OWN_MATTERS * float((high.use - low.use).max()), OWN_TOLERANCE)
            if fast.own_use.max() > enough:
                fast, slow = _closer(fast, low, enough), _closer(slow, high, enough)
                fast, slow = _same(fast, slow)
        return Box(self, low, high, fast, slow)

    def consistent(self, low: Point, high: Point) -> tuple[Point, Point]:
        """Without uses of a link in one direction for which there is none in the other: all columns
        together can't differ from each single one in the ratio of the two."""
        first, last = low.use.copy(), high.use.copy()
        for k, mine in enumerate(self.program.on):
            up, down = self.program.traffic[:, mine]
            if not len(up) or (up <= 0).any() or (down <= 0).any():
                continue
            least, most = float((down / up).min()) * SHRINK, float((down / up).max()) / SHRINK
            first[1, k] = max(first[1, k], least * first[0, k])
            last[1, k] = min(last[1, k], most * last[0, k])
            first[0, k] = max(first[0, k], first[1, k] / most)
            last[0, k] = min(last[0, k], last[1, k] / least)
        last = np.maximum(first, last)
        return Point(low.level, first), Point(high.level, last)

    def only(self, useful: BoolArray) -> Boxes:
        """Of some columns alone, at least one of each group; of all where that is not much more."""
        if useful.mean() > MOST_USEFUL:
            return self
        columns = np.flatnonzero(useful)
        return Boxes(self.program.only(columns), self.columns[columns])


def _closer(program: Program, at: Point, enough: float) -> Program:
    """With what each member itself adds to the links as it is at a point, from the side on which it
    was; to about `enough`."""
    for _ in range(OWN_ROUNDS):
        before = program.own_use
        program = program.with_link_use(at.use, at.level)
        if np.abs(program.own_use - before).max() <= enough:
            break
    return program


def _same(fast: Program, slow: Program) -> tuple[Program, Program]:
    """The first one twice where the links don't matter."""
    apart = slow.elsewhere - fast.elsewhere
    return (fast, fast) if (apart <= SAME * fast.elsewhere).all() else (fast, slow)


@dataclass(frozen=True, eq=False)
class Box:
    """From `low` to `high`. A step is no shorter than at low, asks no more often than at low and no
    less often than at high."""

    boxes: Boxes
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
    def round_seconds(self) -> FloatArray:
        """float64[N]: of a round, at the low edge."""
        return self.fast.rounds * self._edges.seconds

    @property
    def wide(self) -> bool:
        """Whether the levels are too far apart for lines between them."""
        low, high = self.low.level, self.high.level
        return bool((high > WIDE * low).any())

    @property
    def linked(self) -> bool:
        """Whether it matters where in the box the links are."""
        return self.slow is not self.fast

    def price(self, objective: int) -> Price:
        return Price(self.fast.per_second[objective], self.fast.fixed[objective])

    def lowest(self, price: Price | None = None, prices: FloatArray | None = None) -> Problem:
        """What all choices of the box keep, steps as short as at its low edge and shares as small
        as at its high one. Without a price, that of the first objective. With `prices` of its first
        rows, without the rows that have none."""
        priced = itertools.repeat(True) if prices is None else iter((prices > 0).tolist())
        rows = [row for row in self.fast.static_rows if next(priced, False)]
        rows += [(row.name, row.weights, row.loosest) for row in self.rows(self._edges, priced)]
        return self.fast.problem((price or self.price(0)).of(self._edges.seconds), rows)

    def rewards(self, prices: FloatArray) -> FloatArray:
        """float64[3, K]: of `prices` of the first rows of `lowest`, those for how much of a queue,
        of the link to a server and of the link from it is filled at the least."""
        found, paid = np.zeros_like(self.low.coordinates), iter(prices.tolist())
        for _ in self.fast.static.caps:
            next(paid, 0.0)
        for row in self.fast.rows:
            next(paid, 0.0)
            if row.label in (C5_QUEUE, *WAY):
                found[1 + WAY.get(row.label, -1), row.kind] = next(paid, 0.0)
        return found

    def place(self, shares: FloatArray) -> Point:
        """What lies the shares, float64[K * `dimensions`], of the way from the low ends of the
        edges to the high ones; where the links don't matter, they are at their high ends."""
        along = shares.reshape(len(self.low.level), self.dimensions).T
        first, last = self.low.coordinates, self.high.coordinates
        found = last.copy()
        found[: len(along)] += (along - 1) * (last - first)[: len(along)]
        found = np.clip(found, first, last)
        return Point(found[0], found[1:])

    def rows(
        self, bounds: Bounds | _Edges, wanted: Iterator[bool] | None = None
    ) -> Iterator[BoxRow]:
        """Besides the limits, a choice fills its own queues and links: at least to the low edge,
        and at most to the high one; but at the level 0 a queue needn't be full. Of each row in
        turn, `wanted` says whether to give it."""
        program, wanted = self.fast, wanted or itertools.repeat(True)
        for row in program.rows:
            cap, machines = program.cap(row), float(program.servers.count[row.kind])
            edge, caps = None, (cap, cap)
            if row.label in WAY:
                edge = WAY[row.label], row.kind
                caps = machines * float(self.low.use[edge]), machines * float(self.high.use[edge])
            if next(wanted, False):
                asked = program.asked(row, bounds.share, bounds.often)
                yield BoxRow(row.name, asked, cap, caps, edge)
            if row.label in (C5_QUEUE, *WAY) and next(wanted, False):
                reached = Row(f"{row.label}_reached", row.kind).name
                above = program.asked(row, bounds.share_most, bounds.often_most)
                if edge is None and self.low.level[row.kind] == 0:
                    caps = 0.0, 0.0
                yield BoxRow(reached, -above, math.inf, (-caps[0], -caps[1]), edge)

    @cached_property
    def _edges(self) -> _Edges:
        return _Edges(self.low, self.high, self.fast, self.slow)

    @cached_property
    def bounds(self) -> Bounds:
        """At the corners of a box that is not `wide`."""
        return at_corners(self.low, self.high, self.fast, self.slow)

    @property
    def dimensions(self) -> int:
        """Edges of one server's part of the box: its level, and the uses of its link if these
        matter. Those of the k-th server begin with the k * `dimensions`-th."""
        return 3 if self.linked else 1

    def edge_of(self, row: BoxRow) -> int | None:
        """The edge along which a row's limit changes."""
        if not self.linked or row.use is None:
            return None
        way, kind = row.use
        return kind * self.dimensions + 1 + way


@dataclass(frozen=True, eq=False)
class _Edges:
    """The `Bounds` of a box at its edges, computed when they are asked for; float64[N]."""

    low: Point
    high: Point
    fast: Program
    slow: Program

    @cached_property
    def _first(self) -> Steps:
        return self.fast.steps(self.low.level)

    @cached_property
    def _last(self) -> Steps:
        return self.slow.steps(self.high.level)

    @property
    def seconds(self) -> FloatArray:
        return self._first.seconds

    @property
    def share(self) -> FloatArray:
        return self._last.share

    @property
    def often(self) -> FloatArray:
        return self._last.often

    @property
    def share_most(self) -> FloatArray:
        return self._first.share

    @property
    def often_most(self) -> FloatArray:
        return self._first.often


@dataclass(frozen=True, eq=False)
class BoxRow:
    name: str
    weights: FloatArray
    """float64[..., N]"""
    cap: float
    """The policy's limit."""
    caps: tuple[float, float]
    """What a choice can ask at the low and at the high end of the link's use."""
    use: tuple[int, int] | None
    """Of `Point.use`."""

    @property
    def loosest(self) -> float:
        """The limit, wherever in the box."""
        return min(self.cap, max(self.caps))
