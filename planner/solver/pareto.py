"""Options that another option of the same client beats in everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .problem import BoolArray, FloatArray

BLOCK = 512
"""Clients compared at a time, so that what is being compared stays in the processor's cache."""


def undominated(cost: FloatArray, weights: Sequence[FloatArray], allowed: BoolArray) -> BoolArray:
    """bool[n, O]: the allowed options that no other one of the same client dominates.

    cost is float64[n, O], weights are R arrays of that shape, allowed is bool[n, O]. An option is
    dominated where another one is <= in cost and in every weight, and, if all of them are equal,
    stands earlier: put the preferred options first. Dropping these never changes the optimum, since
    every client of a solution can move to the option that dominates its own.
    """
    kept = np.zeros_like(allowed)
    for start in range(0, len(cost), BLOCK):
        part = slice(start, start + BLOCK)
        kept[part] = _undominated_block(cost[part], [w[part] for w in weights], allowed[part])
    return kept


def _undominated_block(
    cost: FloatArray, weights: Sequence[FloatArray], allowed: BoolArray
) -> BoolArray:
    order = _cheapest_first(np.where(allowed, cost, np.inf), weights)
    # [O, n]: clients along the last axis, for long comparisons of neighbouring numbers
    sorted_weights = [np.ascontiguousarray(np.take_along_axis(w, order, axis=1).T) for w in weights]
    beaten = np.ascontiguousarray(~np.take_along_axis(allowed, order, axis=1).T)
    for i in range(len(beaten) - 1):
        beats = np.broadcast_to(~beaten[i], beaten[i + 1 :].shape).copy()
        if not beats.any():
            continue
        for weight in sorted_weights:
            beats &= weight[i + 1 :] >= weight[i]
        beaten[i + 1 :] |= beats
    kept = np.zeros_like(allowed)
    np.put_along_axis(kept, order, ~beaten.T, axis=1)
    return kept


def _cheapest_first(cost: FloatArray, weights: Sequence[FloatArray]) -> npt.NDArray[np.intp]:
    """Each client's options by cost, then by the weights, then by position: so an option can be
    dominated by an earlier one only."""
    order = np.argsort(cost, axis=1, kind="stable")
    ordered = np.take_along_axis(cost, order, axis=1)
    ties = np.flatnonzero(
        ((ordered[:, 1:] == ordered[:, :-1]) & np.isfinite(ordered[:, 1:])).any(axis=1)
    )
    if len(ties):
        order[ties] = np.lexsort((*(w[ties] for w in weights[::-1]), cost[ties]), axis=1)
    return order
