"""How boxes of levels and links are divided."""

from __future__ import annotations

import numpy as np
import pytest
from flexp.planner.corners import Point
from flexp.planner.division import cut, widest_level


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
