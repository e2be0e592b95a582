"""Bounds on what columns do at the corners of a box of levels and links, straight between them.

In one server's box a column's step depends on three numbers: the server's level and the use of its
link in both directions. A function that is straight along each of them is known from its values at
the eight corners. Over the seconds e that a step spends elsewhere, T and y (curves.py) are concave
and rise, so each lies above the line through its values at the ends of e, and below the one through
those at the upper end and beyond it. Over the links' use e is convex: above its tangents in the
middle and below the line through its ends.

From T <= M follows 1/T >= 2/c − M/c² for any c > 0, and from T >= L, where T is between a and b,
1/T <= (a + b − L) / (a·b): straight again. The same holds for h = S/G / y.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from .curves import lines
from .program import Program
from .queueing import Demand, Steps, at_level, link_factor, link_slope
from .solver.problem import FloatArray


@dataclass(frozen=True, eq=False)
class Point:
    """How long the queues are, and how full the servers' links."""

    level: FloatArray
    """float64[K], seconds of a visit's wait"""
    use: FloatArray
    """float64[2, K]: of the links to the servers and from them, 0 to 1."""

    @property
    def coordinates(self) -> FloatArray:
        """float64[3, K]: the levels, then the uses; a copy."""
        return np.vstack([self.level, self.use])


@dataclass(frozen=True, eq=False)
class Bounds:
    """float64[..., N]: what columns do at least and at most."""

    seconds: FloatArray
    """At least."""
    share: FloatArray
    often: FloatArray
    """Steps per second."""
    share_most: FloatArray
    often_most: FloatArray


def corners(dimensions: int) -> FloatArray:
    """float64[2 ** dimensions, dimensions]: 0 for the low edge, 1 for the high one."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=dimensions)))


def at_corners(low: Point, high: Point, fast: Program, slow: Program) -> Bounds:
    """float64[C, N] in the order of `corners`: of the level and both directions of the link, or of
    the level alone where `fast` is `slow`. Of all servers the same corner. Where a level is 0, it
    is at both ends.

    Steps are elsewhere no longer than in `fast` and no shorter than in `slow`, at their own ends.
    """
    found = np.zeros((5, 2 if fast is slow else 8, len(fast.apart)))
    for k, mine in enumerate(fast.on):
        if not mine.any():
            continue
        span = float(low.level[k]), float(high.level[k])
        workers = int(fast.servers.accelerators[k])
        if fast is slow:
            ends = (fast.elsewhere[None, None, mine],) * 2
        else:
            ends = _elsewhere(low, high, fast, slow, k)
        found[:, :, mine] = _of_server(fast.demands[k], ends, span, workers)
    return Bounds(*found)


def _elsewhere(
    low: Point, high: Point, fast: Program, slow: Program, k: int
) -> tuple[FloatArray, FloatArray]:
    """float64[2, 2, n] each, by the end of the link up and down: straight between, they lie below
    the seconds elsewhere and above them."""
    mine = fast.on[k]
    below, above = (np.broadcast_to(fast.apart[mine], (2, 2, mine.sum())).copy() for _ in range(2))
    tables = ((fast.up, fast.up_share), (fast.down, fast.down_share))
    for way, (seconds, share) in enumerate(tables):
        seconds, share = seconds[mine], share[mine]
        ends = np.array([[low.use[way, k]], [high.use[way, k]]])
        middle = ends.mean()
        others = middle - fast.own_use[way][mine]
        slope = link_slope(share, others)
        tangent = seconds * (link_factor(share, others) + slope * (ends - middle))
        full = seconds * link_factor(share, np.clip(ends - slow.own_use[way][mine], 0.0, None))
        along = (slice(None), None) if way == 0 else (None, slice(None))
        below += tangent[along]
        above += full[along]
    return below, above


def _of_server(
    asked: Demand, elsewhere: tuple[FloatArray, FloatArray], span: tuple[float, float], workers: int
) -> FloatArray:
    """float64[5, C, n]"""
    bottom, top = elsewhere[0][0, 0], elsewhere[1][-1, -1]
    width = top - bottom
    under, over = (
        np.divide(e - bottom, width, out=np.zeros_like(e), where=width > 0) for e in elsewhere
    )
    demands = [replace(asked, elsewhere_seconds=e) for e in (bottom, top, top + width)]
    first, last, beyond = (lines(each, *span, workers) for each in demands)
    fastest, slowest = (
        at_level(each, level, workers) for each, level in zip(demands[:2], span, strict=True)
    )
    unit = asked.server_seconds / workers
    nearest, furthest = _room(unit, fastest), _room(unit, slowest)

    def least(at_bottom: FloatArray, at_top: FloatArray, anywhere: FloatArray) -> FloatArray:
        drawn = (1 - under) * at_bottom[:, None, None] + under * at_top[:, None, None]
        return np.where(first.smooth, drawn, anywhere)

    def most(at_top: FloatArray, further: FloatArray, anywhere: FloatArray) -> FloatArray:
        drawn = (2 - over) * at_top[:, None, None] - (1 - over) * further[:, None, None]
        return np.where(first.smooth, drawn, anywhere)

    seconds = least(first.seconds_least, last.seconds_least, fastest.seconds)
    seconds_most = most(last.seconds_most, beyond.seconds_least, slowest.seconds)
    room = least(first.room_least, last.room_least, nearest)
    room_most = most(last.room_most, beyond.room_least, furthest)
    bounds = (
        seconds,
        unit * _inverse_least(room_most),
        _inverse_least(seconds_most),
        unit * _inverse_most(room, nearest, furthest),
        _inverse_most(seconds, fastest.seconds, slowest.seconds),
    )
    return np.stack([each.reshape(-1, each.shape[-1]) for each in bounds])


def _room(unit: FloatArray, steps: Steps) -> FloatArray:
    """float64[n]: y; anything where nothing is asked."""
    return np.divide(unit, steps.share, out=np.ones_like(unit), where=steps.share > 0)


def _inverse_least(most: FloatArray) -> FloatArray:
    middle = most.mean(axis=(0, 1, 2))
    return 2 / middle - most / middle**2


def _inverse_most(least: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return (low + high - least) / (low * high)
