"""How boxes of levels and links are divided."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from .corners import Point
from .solver.problem import FloatArray

SPREAD = 1.02
"""The first box around the best levels reaches from w / SPREAD to w · SPREAD."""
NARROW = 1 + 1e-5
"""Levels that are closer than this are not divided again."""
THIN = 1e-6
"""Nor are links' uses."""
LOWEST = 1e-3
"""Of a box's high edge: levels below are not told apart by their ratio."""

Edge = tuple[int, int]
"""0 for the level, 1 and 2 for the use of the link to the server and from it; and which server."""


def first_levels(
    level: FloatArray, lowest: FloatArray, highest: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """All levels from `lowest` to `highest` in boxes, one of them around `level`. Where the two are
    equal, as on a server where nobody waits, that is a box too."""
    edges = [
        sorted({low, *np.clip([middle / SPREAD, middle * SPREAD], low, high).tolist(), high})
        for middle, low, high in zip(level.tolist(), lowest.tolist(), highest.tolist(), strict=True)
    ]
    sides = [list(itertools.pairwise(edge)) or [(edge[0], edge[0])] for edge in edges]
    for spans in itertools.product(*sides):
        low, high = zip(*spans, strict=True)
        yield np.array(low), np.array(high)


def edges(low: Point, high: Point) -> list[Edge]:
    """Those that are wide enough to be divided."""
    first, last = low.coordinates, high.coordinates
    wide = last - first > THIN
    wide[0] = last[0] > NARROW * first[0]
    return [(int(row), int(k)) for row, k in zip(*np.nonzero(wide), strict=True)]


def widest_level(low: Point, high: Point) -> Edge:
    """A server where nobody waits, whose levels are 0 from end to end, comes last."""
    first, last = np.maximum(low.level, LOWEST * high.level), high.level
    return 0, int(np.divide(first, last, out=np.ones_like(last), where=last > 0).argmin())


def flat(low: Point, high: Point, edge: Edge, at: Point) -> tuple[Point, Point]:
    """The slice of a box at one coordinate of a place."""
    where = at.coordinates[edge]
    return _with(low, edge, where), _with(high, edge, where)


def cut(low: Point, high: Point, edge: Edge) -> Iterator[tuple[Point, Point]]:
    """The two halves; levels that are far apart are halved on a logarithmic scale."""
    first, last = (float(end.coordinates[edge]) for end in (low, high))
    middle = (first + last) / 2
    if edge[0] == 0:
        middle = math.sqrt(max(first, LOWEST * last) * last)
    yield low, _with(high, edge, middle)
    yield _with(low, edge, middle), high


def above_rest(low: Point, high: Point, edge: Edge, least: float) -> Iterator[tuple[Point, Point]]:
    """A box whose level begins at 0, in two: 0 itself, and what is no less than `least`, below
    which there is nothing else."""
    yield low, _with(high, edge, 0.0)
    if least < float(high.coordinates[edge]):
        yield _with(low, edge, least), high


def _with(point: Point, edge: Edge, where: float) -> Point:
    coordinates = point.coordinates
    coordinates[edge] = where
    return Point(coordinates[0], coordinates[1:])
