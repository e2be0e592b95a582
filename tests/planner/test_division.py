"""How boxes of levels and links are divided."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.corners import Point
from flexp.planner.division import above_rest, cut, first_levels, widest_level


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        ([0.1, 0.1], [0.2, 0.3], 1),
        ([0.1, 0.0], [0.2, 0.3], 1),
        ([0.1, 0.0], [0.2, 0.0], 0),
        ([0.0, 0.1], [0.0, 0.3], 1),
    ],
)
def test_the_widest_level_is_divided(low: list[float], high: list[float], kind: int) -> None:
    """Never that of a server where nobody waits: its halves would be the box itself."""
    ends = [Point(np.array(level), np.zeros((2, 2))) for level in (low, high)]
    with np.errstate(all="raise"):
        edge = widest_level(ends[0], ends[1])
    assert edge == (0, kind)
    halves = list(cut(ends[0], ends[1], edge))
    middle = halves[0][1].level[kind]
    assert low[kind] < middle == halves[1][0].level[kind] < high[kind]


def test_the_first_boxes_hold_all_levels() -> None:
    """Of a server where nobody waits too, whose levels are one."""
    level, lowest, highest = np.array([[0.0, 0.02], [0.0, 0.001], [0.0, 0.5]])
    boxes = list(first_levels(level, lowest, highest))
    assert len(boxes) == 3
    assert [(low[0], high[0]) for low, high in boxes] == [(0.0, 0.0)] * 3
    assert [low[1] for low, _ in boxes] == [0.001, *(high[1] for _, high in boxes[:-1])]
    assert boxes[-1][1][1] == 0.5


def test_rest_is_apart() -> None:
    """Between 0 and the least wait there is nothing."""
    low, high = (Point(np.array([0.1, end]), np.zeros((2, 2))) for end in (0.0, 0.3))
    (_, rest), (waiting, last) = above_rest(low, high, (0, 1), 0.02)
    assert rest.level.tolist() == [0.1, 0.0]
    assert waiting.level.tolist() == [0.1, 0.02]
    assert last.level.tolist() == high.level.tolist()
    ((_, rest),) = above_rest(low, high, (0, 1), 0.3)
    assert rest.level.tolist() == [0.1, 0.0]
