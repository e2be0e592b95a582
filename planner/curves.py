"""Straight lines below and above what a step does, over a range of its server's levels.

With the symbols of queueing.py, T' = P + V·w, a = V·w / T' and y = ρ·T:

    T = T' − S/G · a / ρ        y = ρ·T' − S/G · a        h = S / (G·y)

ρ and a are concave in w and rise, 1/ρ is convex and falls, and T' is straight. A concave function
lies above the line through its ends and below its tangents; a convex one the other way round. For a
product of two such functions, with m for the middle of the range,

    f·g − (f_m·g + f·g_m − f_m·g_m) = (f − f_m)·(g − g_m)

is positive where both rise and negative where one falls; at the ends McCormick's envelopes are
exact ("Computability of global solutions to factorable nonconvex programs", Mathematical
Programming 10, 1976). So every line here is proven, and its distance is of second order in the
width of the range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .queueing import Demand, at_level, utilisation_at
from .solver.problem import BoolArray, FloatArray

DIFFERENCE = 1e-4
"""Relative step of the level by which the slope of ρ is taken."""
STRAY = 1e-6
"""Of ρ: its tangent keeps off by so much, as ρ comes from a table."""


@dataclass(frozen=True, eq=False)
class Lines:
    """Of N options at the low and at the high end of a range of levels; float64[2, N]."""

    seconds_least: FloatArray
    """Straight from end to end, it lies below T."""
    seconds_most: FloatArray
    room_least: FloatArray
    """Below y; seconds."""
    room_most: FloatArray
    smooth: BoolArray
    """bool[N]: what these lines hold for. Where a share reaches 1, T and h have a kink."""


def lines(demand: Demand, low: float, high: float, workers: int) -> Lines:
    """`low` > 0, or both 0."""
    levels, own = np.array([[low], [high]]), demand.server_seconds / workers
    middle = (low + high) / 2
    unloaded = demand.elsewhere_seconds + demand.server_seconds
    if high == 0:
        return _at_rest(unloaded, own)
    longest = unloaded + demand.visits * levels
    longest_there = unloaded + demand.visits * middle
    waiting = demand.visits * levels / longest
    waiting_there = demand.visits * middle / longest_there
    waiting_most = waiting_there + (levels - middle) * demand.visits * unloaded / longest_there**2
    rho = np.array([utilisation_at(demand, level, workers) for level in (low, high)])
    there = utilisation_at(demand, middle, workers)
    step = DIFFERENCE * middle
    slope = (utilisation_at(demand, middle + step, workers) - there) / step
    rho_most = (there + (levels - middle) * slope) * (1 + STRAY)
    slowness_least = 2 / there - rho_most / there**2
    slowness_most = 1 / rho
    product_most = waiting_there * slowness_most + (waiting_most - waiting_there) / there
    product_least = waiting[0] * slowness_least + (waiting - waiting[0]) / rho[1]
    filled_least = there * longest + (rho - there) * longest_there
    filled_most = rho[0] * longest + (rho_most - rho[0]) * longest[1]
    return Lines(
        seconds_least=longest - own * product_most,
        seconds_most=longest - own * product_least,
        room_least=filled_least - own * waiting_most,
        room_most=filled_most - own * waiting,
        smooth=at_level(demand, low, workers).share < 1,
    )


def _at_rest(unloaded: FloatArray, own: FloatArray) -> Lines:
    """At the level 0, where nobody waits and everyone's share is 1."""
    seconds = np.stack([unloaded, unloaded])
    room = np.where(own > 0, own, 1.0) * np.ones_like(seconds)
    return Lines(seconds, seconds, room, room, np.ones(len(unloaded), dtype=bool))
