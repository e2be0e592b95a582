"""The table: pairs by seed, times to a target, and what it looks like as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from flexp.runtime.comparison.cell import CellResult, ClientResult, Measured
from flexp.runtime.comparison.table import csv_text, make_table


def result(label: str, seed: int, personal: float, seconds: float, fits: bool = True) -> CellResult:
    """Two clients, 10 points apart, who learn evenly from 0 in `seconds`."""
    clients = {
        name: ClientResult(
            personal=personal + gap,
            overall=personal / 2,
            steps=10,
            up_bytes=100,
            down_bytes=50,
            device_flops=7,
            peak_memory_bytes=1000,
            fits=fits,
            seconds=seconds,
        )
        for name, gap in (("a", 0.05), ("b", -0.05))
    }
    curve = [
        Measured(
            client=name, step=step, seconds=seconds * step / 4, accuracy=own.personal * step / 4
        )
        for step in range(5)
        for name, own in clients.items()
    ]
    return CellResult(
        key=f"{label}{seed}",
        label=label,
        algorithm=label,
        seed=seed,
        clients=clients,
        curve=tuple(curve),
        rounds=0,
        last_loss=None,
        wall_seconds=1.0,
    )


RESULTS = [
    result("flexp-sfl", 0, 0.80, 100.0),
    result("fedavg", 0, 0.70, 400.0, fits=False),
    result("flexp-sfl", 1, 0.70, 100.0),
    result("fedavg", 1, 0.66, 400.0, fits=False),
]


def test_differences_are_paired_by_seed() -> None:
    """10 and 4 points: a mean of 7 ± 12.706 · 3."""
    table = make_table(RESULTS, None)
    ours, theirs = table.row("flexp-sfl"), table.row("fedavg")
    assert (table.reference, ours.personal_difference) == ("flexp-sfl", None)
    assert theirs.personal_difference is not None
    assert theirs.personal_difference.mean == pytest.approx(0.07)
    assert theirs.personal_difference.half_width == pytest.approx(12.706 * 0.03)
    assert theirs.overall_difference is not None
    assert theirs.overall_difference.mean == pytest.approx(0.035)
    assert (ours.personal.mean, ours.worst.mean) == pytest.approx((0.75, 0.70))
    assert (ours.client_bytes.mean, ours.device_flops.mean) == (150, 7)
    assert (ours.misfits, theirs.misfits) == (0, 2)


def test_without_a_target_all_reach_what_the_lowest_reached() -> None:
    """Seed 0: 0.70, which flexp has after its last quarter (0.60 > 0.80) and fedavg at its end."""
    table = make_table(RESULTS[:2], None)
    ours, theirs = table.row("flexp-sfl"), table.row("fedavg")
    assert ours.target_seconds is not None and theirs.target_seconds is not None
    assert (ours.target_seconds.mean, theirs.target_seconds.mean) == (100.0, 400.0)
    assert theirs.time_ratio is not None and theirs.time_ratio.mean == 4.0


@pytest.mark.parametrize(("target", "reached"), [(0.5, (2, 2)), (0.68, (2, 1)), (0.9, (0, 0))])
def test_a_target_may_be_missed(target: float, reached: tuple[int, int]) -> None:
    table = make_table(RESULTS, target)
    rows = table.row("flexp-sfl"), table.row("fedavg")
    assert tuple(row.reached for row in rows) == reached
    assert [row.target_seconds is None for row in rows] == [count == 0 for count in reached]


def test_seeds_that_one_side_lacks_make_no_pair() -> None:
    found = make_table([*RESULTS[:3]], None).row("fedavg").personal_difference
    assert found is not None and (found.seeds, found.half_width) == (1, None)


def test_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(make_table(RESULTS, None)))))
    assert [row["label"] for row in rows] == ["flexp-sfl", "fedavg"]
    assert float(rows[1]["personal_difference"]) == pytest.approx(0.07)
    assert float(rows[1]["personal_difference_95"]) == pytest.approx(12.706 * 0.03)
    assert rows[0]["personal_difference"] == "" and rows[0]["seeds"] == "2"
