"""Who takes which column."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from flexp.planner.assign import runs
from hypothesis import given
from hypothesis import strategies as st

GROUPS = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=4)
"""Of each group the members of its entries."""
COLUMNS = 3
"""Of each group."""


@given(groups=GROUPS, data=st.data())
def test_members_take_the_columns_of_their_group_in_order(
    groups: list[list[int]], data: st.DataObject
) -> None:
    x: list[int] = []
    for members in groups:
        most = sum(members)
        cuts = [data.draw(st.integers(0, most)) for _ in range(COLUMNS - 1)]
        x += np.diff([0, *sorted(cuts), most]).tolist()
    every = [(number, members) for number, group in enumerate(groups) for members in group]
    entries = data.draw(st.permutations(every))
    order = data.draw(st.permutations(range(len(entries))))
    group = np.array([number for number, _ in entries])
    counts = np.array([members for _, members in entries])
    kind = np.arange(len(x)) % 3 - 1
    program: Any = SimpleNamespace(origin=SimpleNamespace(group=group), kind=kind)

    found = runs(program, np.array(x), counts, order)

    entry_of = {client: entry for entry, client in enumerate(order)}
    by_entry = [(entry_of[run.client], run.first, run) for run in found]
    assert by_entry == sorted(by_entry)
    line = {(entry, run.column): run for entry, _, run in by_entry}
    assert len(line) == len(found)
    for entry, members in enumerate(counts):
        mine = [run for other, _, run in by_entry if other == entry]
        assert [run.first for run in mine] == [1, *(r.first + r.members for r in mine[:-1])]
        assert mine[-1].first + mine[-1].members == members + 1
    for number in range(len(groups)):
        taken = [run for entry, _, run in by_entry if group[entry] == number]
        assert [run.column for run in taken] == sorted(run.column for run in taken)
        assert {run.column // COLUMNS for run in taken} == {number}
    for column, members in enumerate(x):
        mine = [run for run in found if run.column == column]
        assert sum(run.members for run in mine) == members
        assert {run.kind for run in mine} <= {kind[column]}
