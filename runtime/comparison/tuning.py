"""A small seeded search for learning rates, by accuracy on validation parts alone.

Every algorithm gets the same number of trials from the same grid, in the same order, the default
first. The test rows are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean, stdev

from .cell import Cell, CellResult
from .rates import Rate, Rates

LEARNING_RATES = (1e-3, 3e-3, 1e-2)
"""Of the body; the middle is the default."""
HEAD_RATES = (3e-4, 3e-3, 1e-2)
"""Of the heads."""
TUNING_SEED = 1000
"""Of the partition and the order of rows, which no comparison of fewer seeds uses."""


def grid() -> tuple[Rate, ...]:
    """All pairs of rates: the default, the others with both low, middle or high, which meet every
    rate in three trials, and then those with a slow body first."""
    pairs = sorted(
        product(range(3), range(3)), key=lambda at: (at[0] != at[1], at != (1, 1), at[0], -at[1])
    )
    return tuple(Rate(learning_rate=LEARNING_RATES[a], head_rate=HEAD_RATES[b]) for a, b in pairs)


def trial_cells(cell: Cell, budget: int, held_out_share: float) -> tuple[Cell, ...]:
    """`cell` with each of the rates, on validation parts; of everyone's rows, which choose nothing,
    as few as can be."""
    data = cell.data.model_copy(update={"held_out_share": held_out_share})
    return tuple(
        cell.model_copy(
            update={
                "data": data,
                "options": cell.options.model_copy(update=rate.model_dump()),
                "evaluate_every": cell.steps,
                "global_rows": 1,
            }
        )
        for rate in grid()[:budget]
    )


def best(cells: Sequence[Cell], results: Mapping[str, CellResult]) -> Cell:
    """The first trial whose personal accuracy is less than one standard error below the highest
    (Breiman et al., "Classification and Regression Trees", 1984, 3.4.3): a few validation rows do
    not tell them apart. Only trials that are in `results` count, since rates that are too high may
    leave no numbers."""
    done = [cell for cell in cells if cell.key in results]
    highest = max((results[cell.key] for cell in done), key=lambda result: result.personal)
    return next(cell for cell in done if _as_good(results[cell.key], highest))


def _as_good(result: CellResult, highest: CellResult) -> bool:
    """By the differences of each client's accuracies."""
    lost = [own.personal - result.clients[name].personal for name, own in highest.clients.items()]
    error = stdev(lost) / len(lost) ** 0.5 if len(lost) > 1 else 0.0
    return fmean(lost) <= 0 or fmean(lost) < error


def rates_of(chosen: Sequence[Cell], budget: int) -> Rates:
    share = chosen[0].data.held_out_share
    return Rates(
        source=f"flexp tune: {budget} of {len(grid())} pairs of rates for each algorithm, personal "
        f"accuracy on {share:.0%} of the training rows, seed {chosen[0].seed}",
        rates={
            cell.label: Rate(
                learning_rate=cell.options.learning_rate, head_rate=cell.options.head_rate
            )
            for cell in chosen
        },
    )
