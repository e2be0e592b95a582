"""The order in which rates are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from flexp.runtime.comparison.cell import Cell, CellResult, ClientResult
from flexp.runtime.comparison.tuning import HEAD_RATES, LEARNING_RATES, best, grid, trial_cells

from .offices import small_cell


def test_the_default_comes_first_and_three_trials_meet_every_rate() -> None:
    rates = grid()
    assert len(set(rates)) == len(rates) == 9
    assert (rates[0].learning_rate, rates[0].head_rate) == (3e-3, 3e-3)
    assert {rate.learning_rate for rate in rates[:3]} == set(LEARNING_RATES)
    assert {rate.head_rate for rate in rates[:3]} == set(HEAD_RATES)


def result(cell: Cell, accuracies: Sequence[float]) -> CellResult:
    clients = {
        name: ClientResult(
            personal=value,
            overall=0.0,
            steps=1,
            up_bytes=0,
            down_bytes=0,
            device_flops=0,
            peak_memory_bytes=0,
            fits=True,
            seconds=1.0,
        )
        for name, value in zip("abcd", accuracies, strict=True)
    }
    return CellResult(
        key=cell.key,
        label=cell.label,
        algorithm=cell.algorithm,
        seed=cell.seed,
        clients=clients,
        curve=(),
        rounds=0,
        last_loss=None,
        wall_seconds=0.0,
    )


def test_the_default_stays_unless_another_is_better_by_a_standard_error(
    checkpoint: Callable[[str], Path],
) -> None:
    """Two clients gain 0.2 and two lose 0.1: 0.05 on average, with a standard error of 0.087. Where
    all gain 0.05 it is 0. A trial without numbers does not count."""
    first, second, third = trial_cells(small_cell(checkpoint("bert")), 3, 0.25)
    base = result(first, [0.5, 0.5, 0.5, 0.5])
    by_chance = result(second, [0.7, 0.7, 0.4, 0.4])
    better = result(third, [0.55, 0.55, 0.55, 0.55])
    cells = (first, second, third)
    assert best(cells, {first.key: base, second.key: by_chance}) is first
    assert best(cells, {first.key: base, third.key: better}) is third
    assert best(cells, {second.key: by_chance}) is second
