"""The levels that a choice of columns makes, and those that choices may have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import queueing
from .program import Program
from .solver.problem import BoolArray, FloatArray, IntArray, Problem

DUAL_TOLERANCE = 1e-5
SLACK = 1e-9
STEPS_AWAY = (1.02, 1.05, 1.1, 1.25, 1.6, 2.5, 5.0, 25.0, 625.0, 390625.0)


@dataclass(frozen=True, eq=False)
class Kept:
    """A problem without the columns that miss the deadline; `columns` are those that stay."""

    problem: Problem
    columns: IntArray
    total: int

    def full(self, x: IntArray) -> IntArray:
        counts = np.zeros(self.total, dtype=np.int64)
        counts[self.columns] = x
        return counts


def kept(problem: Problem, in_time: BoolArray) -> Kept | None:
    """None where a group has no column that keeps the deadline."""
    if in_time.all():
        return Kept(problem, np.arange(problem.columns), problem.columns)
    if not problem.leaves_all(in_time):
        return None
    columns = np.flatnonzero(in_time)
    return Kept(problem.keep(columns), columns, problem.columns)


def settle(
    program: Program, x: IntArray | FloatArray, near: FloatArray | None = None
) -> FloatArray:
    """float64[K]: the level at each machine where the members stand as x says; found sooner if it
    is close to `near`."""
    levels = []
    for k, mine in enumerate(program.on):
        members = x[mine]
        used = np.flatnonzero(members)
        asked = program.demands[k].take(used)
        counts = members[used] / program.servers.count[k]
        workers = int(program.servers.accelerators[k])
        close = None if near is None else float(near[k])
        levels.append(queueing.steady_level(asked, counts, workers, close) if len(used) else 0.0)
    return np.array(levels)


def holds(
    program: Program, x: IntArray, level: FloatArray, asked: FloatArray | None = None
) -> bool:
    """Whether a choice keeps all rows and deadlines at these levels, which are its own; `asked`:
    what `filled` says, where it is known."""
    asked = filled(program, x, level) if asked is None else asked
    used = program.only(np.flatnonzero(x))
    return bool((asked <= 1 + SLACK).all() and used.in_time(level).all())


def filled(program: Program, x: IntArray, level: FloatArray) -> FloatArray:
    """float64[R]: what a choice asks of the rows at these levels, as shares of their limits."""
    columns = np.flatnonzero(x)
    problem = program.only(columns).at(level)
    loads, limits = problem.loads(x[columns]), problem.limits
    return np.divide(loads, limits, out=np.where(loads > limits, np.inf, 0.0), where=limits > 0)


def reachable(program: Program, level: FloatArray) -> tuple[FloatArray, FloatArray]:
    """float64[K] each: levels below and above which no choice can have its own, looked for in steps
    away from `level`. Shares fall with the level: where the least that the clients can take is more
    than there is, the level is too low, and where the most is less, it is too high."""
    low, high = np.zeros_like(level), program.most_level
    fast = program.at_least(np.zeros_like(program.link_use))
    slow = program.at_most(fullest_links(program))
    for k in range(len(level)):
        for factor in STEPS_AWAY:
            if _filled(slow, k, level / factor, np.minimum) > program.servers.count[k]:
                low[k] = level[k] / factor
                break
        for factor in STEPS_AWAY:
            if level[k] * factor >= high[k]:
                break
            if _filled(fast, k, level * factor, np.maximum) < program.servers.count[k]:
                high[k] = level[k] * factor
                break
    return low, high


def least_wait(program: Program, kind: int, high: float) -> float:
    """A level up to `high` below which no choice has its own at a kind of server, but for 0. Where
    somebody waits, there are more members than machines, and the least shares of so many are no
    more than there is."""
    slow, machines = program.at_most(fullest_links(program)), float(program.servers.count[kind])
    level, needed = high, math.floor(machines) + 1
    while program.static.members >= needed:
        share = slow.steps(np.full(len(program.servers), level)).share
        share = np.where(program.on[kind], share, np.inf)
        least = np.minimum.reduceat(share, program.static.offsets[:-1])
        order = np.argsort(least)
        counts, least = program.static.counts[order], least[order]
        members = np.clip(needed - (np.cumsum(counts) - counts), 0, counts)
        if least[members > 0] @ members[members > 0] > machines * (1 + SLACK):
            break
        level /= 2
    return level


def fullest_links(program: Program) -> FloatArray:
    """float64[2, K]: how full the clients can keep the servers' links at the most, where that is
    less than the policy allows."""
    return np.minimum(most_traffic(program), program.policy.server_utilisation)


def most_traffic(program: Program) -> FloatArray:
    """float64[2, K]: use of the servers' links by everyone at the option that asks the most of
    them, without waiting."""
    fast = program.at_least(np.zeros_like(program.link_use))
    most = np.zeros_like(program.link_use)
    for k, mine in enumerate(program.on):
        for way in range(2):
            asked = np.where(mine, fast.own_use[way], 0.0)
            largest = np.maximum.reduceat(asked, program.static.offsets[:-1])
            most[way, k] = float(program.static.counts @ largest) / program.servers.count[k]
    return most


def emptiest_links(program: Program, level: FloatArray) -> FloatArray:
    """float64[2, K]: how full the clients keep the servers' links at the least, at levels up to
    `level`: each at the option that asks the least of them."""
    slow = program.at_most(fullest_links(program))
    often = slow.steps(level).often
    least = np.zeros_like(program.link_use)
    for k, mine in enumerate(program.on):
        for way in range(2):
            asked = np.where(mine, program.traffic[way] * often, 0.0)
            smallest = np.minimum.reduceat(asked, program.static.offsets[:-1])
            least[way, k] = float(program.static.counts @ smallest) / program.servers.count[k]
    return np.minimum(least, fullest_links(program))


def _filled(program: Program, kind: int, level: FloatArray, pick: np.ufunc) -> float:
    """The least or the most that all clients together take of a kind of server."""
    share = np.where(program.on[kind], program.steps(level).share, 0.0)
    return float(program.static.counts @ pick.reduceat(share, program.static.offsets[:-1]))
