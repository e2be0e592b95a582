"""Which devices stand for all: the fewest that cover every device class and every binding link.

    minimise Σ x_g   subject to   Σ_{g covers e} x_g >= 1 for every e,   x_g in {0, 1}

Groups of equal (device, link) are the candidates; HiGHS solves the integer program. Of covers of
equal size, the one whose groups hold most devices of the fleet.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import pulp

from ..solver.highs import QuietHiGHS

Group = tuple[str, str]
"""(device, link)"""


def covers(group: Group, binding: Set[str]) -> frozenset[tuple[str, str]]:
    """What one device of the group stands for: its class, and its link where that binds."""
    device, link = group
    found = {("device", device)}
    return frozenset(found | ({("link", link)} if link in binding else set()))


def smallest_cover(sizes: Mapping[Group, int], binding: Set[str]) -> tuple[Group, ...]:
    """The groups to take one device of, in the order of `sizes`; `sizes` counts the devices of
    each group."""
    groups = list(sizes)
    elements = sorted({element for group in groups for element in covers(group, binding)})
    model = pulp.LpProblem("cover", pulp.LpMinimize)
    taken = [model.add_variable(f"x_{i}", 0, 1, pulp.LpInteger) for i in range(len(groups))]
    members = sum(sizes.values()) + 1
    model += pulp.lpSum(
        (1 - sizes[group] / members / len(groups)) * x
        for group, x in zip(groups, taken, strict=True)
    )
    for element in elements:
        able = (x for g, x in zip(groups, taken, strict=True) if element in covers(g, binding))
        model += pulp.lpSum(able) >= 1
    model.solve(QuietHiGHS())
    return tuple(g for g, x in zip(groups, taken, strict=True) if (x.varValue or 0) > 0.5)
