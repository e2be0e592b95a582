"""Where functions that fall from above 0 to below it cross 0, on logarithmic scales.

First each crossing is enclosed, then the enclosure made smaller by inverse quadratic interpolation
where the last three points lie well for it, else by halves (Chandrupatla, "A new hybrid
quadratic/bisection algorithm for finding the zero of a nonlinear function without using
derivatives", Advances in Engineering Software 28, 1997).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .solver.problem import BoolArray, FloatArray

LEAST_STEP, MOST_STEP = 1e-5, 20.0
"""Logarithms of the factors between numbers that are tried until the crossing is enclosed."""
FLATNESS = 2.0
"""How much the logarithm is thought to rise at the most while the function falls by 1; if it isn't
enough, it is doubled."""
NUDGE = 0.4
"""Of the tolerance: no closer to the ends of the enclosure is a number tried."""


def crossings(
    functions: Callable[[FloatArray], FloatArray], near: FloatArray, tolerance: float
) -> FloatArray:
    """float64[M]: the crossings, or numbers above them by a factor of at most 1 + `tolerance`.

    `functions` gives the values of M functions, float64[M], at a number for each. The closer the
    crossings are to `near`, float64[M] > 0, the fewer numbers are tried.
    """

    def at(place: FloatArray) -> FloatArray:
        """float64[2, M]: places on the logarithmic scale, and values there."""
        return np.stack([place, functions(np.exp(place))])

    end = last = at(np.log(near))
    flatness = FLATNESS
    while (ahead := _below(last) == _below(end)).any():
        step = np.clip(flatness * np.abs(last[1]), LEAST_STEP, MOST_STEP)
        further = at(last[0] + np.where(ahead, np.where(_below(last), step, -step), 0.0))
        end, last = np.where(ahead, last, end), further
        flatness *= 2
    along = last[1] / (last[1] - end[1])
    inside = np.ones(len(near), dtype=bool)
    while (inside := inside & (np.abs(end[0] - last[0]) > tolerance)).any():
        width = end[0] - last[0]
        nudge = NUDGE * tolerance / np.abs(np.where(inside, width, tolerance))
        place = last[0] + np.clip(along, nudge, 1 - nudge) * width
        inside = inside & (place != last[0]) & (place != end[0])
        found = at(np.where(inside, place, last[0]))
        same = _below(found) == _below(last)
        before = np.where(same, last, end)
        end = np.where(inside & ~same, last, end)
        last = found
        along = _interpolated(last, end, before)
    return np.exp(np.where(_below(last), end[0], last[0]))


def _below(points: FloatArray) -> BoolArray:
    """bool[M]: those before the crossing."""
    return points[1] > 0


def _interpolated(last: FloatArray, end: FloatArray, before: FloatArray) -> FloatArray:
    """float64[M]: how far from `last` to `end`, on the other side, the crossing is, from 0 to 1."""
    (x1, f1), (x2, f2), (x3, f3) = last, end, before
    with np.errstate(divide="ignore", invalid="ignore"):
        place, height = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        lies_well = (height**2 < place) & ((1 - height) ** 2 < 1 - place)
        along = f1 / (f2 - f1) * f3 / (f2 - f3)
        along += (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
    return np.where(lies_well, along, 0.5)
