"""What choices near a given one cost and ask, at queues and links of their own.

A choice fills its own queues and links. With the levels and uses s of all servers, F(x, s) = 0
says that the shares of a queue sum to 1 and the traffic of a link to its use. A member that changes
columns moves them, and with them what everyone else costs and asks:

    ds = -F_s^-1 · dF        d(cost) = dc + C_s · ds

This is straight in the change, so it holds for small ones and proves nothing. But it knows what the
program at given levels doesn't: that a queue gets longer for all where one member asks for more.
"""

from __future__ import annotations

import numpy as np

from .boxes import Price
from .program import C5_COMPUTE, C5_QUEUE, WAY, Program, Row
from .solver.problem import FloatArray, IntArray, Problem

STEP = 1e-4
"""By which uses of links, and levels relative to themselves, are moved to see the slopes."""


def nearby(program: Program, x: IntArray, level: FloatArray, price: Price) -> Problem:
    """The integer program around a choice, int64[N], with its own levels and traffic; at a price of
    its columns."""
    used = np.flatnonzero(x)
    some, members = program.only(used), x[used].astype(float)
    its = Price(price.per_second[used], price.fixed[used])
    moving = [row for row in program.rows if _moves(row, level)]
    limits = [row for row in program.rows if row.label == C5_COMPUTE]
    here = _asked(program, level, price, [*moving, *limits])
    before = here[:, used] @ members
    slopes = np.empty((len(here), len(moving)))
    for at, row in enumerate(moving):
        moved, there, step = _moved(some, level, row)
        slopes[:, at] = (_asked(moved, there, its, [*moving, *limits]) @ members - before) / step
    filling = slopes[1 : 1 + len(moving)].copy()
    for at, row in enumerate(moving):
        if row.label in WAY:
            filling[at, at] -= float(program.servers.count[row.kind])
    change = -np.linalg.solve(filling, here[1 : 1 + len(moving)])
    links = [at for at, row in enumerate(moving) if row.label in WAY]
    room = program.policy.server_utilisation - program.link_use
    weights = [*change[links], *(here + slopes @ change)[1 + len(moving) :]]
    left = [
        *(room[WAY[moving[at].label], moving[at].kind] for at in links),
        *(
            program.cap(row) - now
            for row, now in zip(limits, before[1 + len(moving) :], strict=True)
        ),
    ]
    rows = [
        *program.static_rows,
        *(
            (row.name, asked, float(free + asked[used] @ members))
            for row, asked, free in zip(
                [*(moving[at] for at in links), *limits], weights, left, strict=True
            )
        ),
    ]
    return program.problem(here[0] + slopes[0] @ change, rows)


def _moves(row: Row, level: FloatArray) -> bool:
    """Whether it is a use of a link or a level; one of 0 stays."""
    return row.label in WAY or (row.label == C5_QUEUE and level[row.kind] > 0)


def _asked(program: Program, level: FloatArray, price: Price, rows: list[Row]) -> FloatArray:
    """float64[1 + R, N]: cost, and what is asked of the rows."""
    steps = program.steps(level)
    return np.array(
        [price.of(steps.seconds), *(program.asked(row, steps.share, steps.often) for row in rows)]
    )


def _moved(program: Program, level: FloatArray, row: Row) -> tuple[Program, FloatArray, float]:
    """The program and the levels a step further along one of them, and the step."""
    if row.label == C5_QUEUE:
        step = STEP * float(level[row.kind])
        return program, level + step * (np.arange(len(level)) == row.kind), step
    use = program.link_use.copy()
    use[WAY[row.label], row.kind] += STEP
    return program.with_use(use), level, STEP
