"""A small seeded search for learning rates, by accuracy on validation parts alone.

Every algorithm gets the same number of trials from the same grid: the grid's first point, which is
the default, and then others in an order drawn from the seed. The test rows are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from random import Random

from .cell import Cell, CellResult
from .rates import Rate, Rates

LEARNING_RATES = (3e-3, 1e-3, 1e-2)
"""Of the body; the first is the default."""
HEAD_RATES = (3e-3, 3e-4, 1e-2)
"""Of the heads."""
TUNING_SEED = 1000
"""Of the partition and the order of rows, which no comparison of fewer seeds uses."""


def grid() -> tuple[Rate, ...]:
    """All pairs of rates, the default first."""
    return tuple(Rate(learning_rate=a, head_rate=b) for a, b in product(LEARNING_RATES, HEAD_RATES))


def trials(budget: int, seed: int) -> tuple[Rate, ...]:
    """The default and `budget` - 1 others, the same for every algorithm."""
    first, *others = grid()
    Random(seed).shuffle(others)
    return (first, *others[: budget - 1])


def trial_cells(cell: Cell, budget: int) -> tuple[Cell, ...]:
    """`cell` with each of the rates, on validation parts."""
    data = cell.data.model_copy(update={"validation": True})
    return tuple(
        cell.model_copy(
            update={
                "data": data,
                "options": cell.options.model_copy(update=rate.model_dump()),
                "evaluate_every": cell.steps,
            }
        )
        for rate in trials(budget, cell.seed)
    )


def best(cells: Sequence[Cell], results: Mapping[str, CellResult]) -> Cell:
    """The trial with the highest personal accuracy, the first of equals; only trials that are in
    `results` count, since rates that are too high may leave no numbers."""
    done = [cell for cell in cells if cell.key in results]
    return max(done, key=lambda cell: results[cell.key].personal)


def rates_of(chosen: Sequence[Cell], budget: int) -> Rates:
    return Rates(
        source=f"flexp tune: {budget} of {len(grid())} pairs of rates for each algorithm, personal "
        f"accuracy on a quarter of the training rows, seed {chosen[0].seed}",
        rates={
            cell.label: Rate(
                learning_rate=cell.options.learning_rate, head_rate=cell.options.head_rate
            )
            for cell in chosen
        },
    )
