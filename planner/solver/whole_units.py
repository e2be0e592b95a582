"""Caps lowered to what whole units can reach.

Rows in bytes often move in steps of one size, such as what a block adds to the server's memory.
What a cap leaves beyond a whole number of steps is of no use to any solution, and a bound that may
use it is too low.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .problem import FloatArray, Problem

EXACT = 2.0**53
"""Whole numbers below this are exact in float64, and so are their differences."""


def lower_caps(problem: Problem) -> Problem:
    """The same solutions under the least caps that still admit all of them.

    For a row of whole numbers, each member asks for its group's least weight plus a multiple of the
    greatest common divisor d of all differences, so its load is Σ least + k · d with a whole k.
    """
    caps = problem.caps.copy()
    for r, weights in enumerate(problem.weights):
        least = np.minimum.reduceat(weights, problem.offsets[:-1])
        step = _common_step(weights, problem.spread(least))
        base = math.fsum((least * problem.counts).tolist())
        if step > 0 and base < EXACT:
            steps = math.floor((problem.limits[r] - base) / step)
            caps[r] = min(caps[r], base + steps * step)
    return replace(problem, caps=caps)


def _common_step(weights: FloatArray, least: FloatArray) -> int:
    """The greatest common divisor of weights - least; 0 where they aren't whole or are all 0."""
    if np.abs(weights).max() >= EXACT or (weights != np.floor(weights)).any():
        return 0
    differences = (weights - least).astype(np.int64)
    step = int(np.gcd.reduce(differences[:1000]))
    rest = differences % step if step else differences
    return int(np.gcd(step, np.gcd.reduce(rest[rest > 0]))) if rest.any() else step
