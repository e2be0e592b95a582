"""The goal of the search where the slowest client counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .boxes import Box, Price
from .goal import FIND_GAP, NEAR_EFFORT, NEAR_GAP, Goal, Priced
from .goal_any import AnyChoice
from .nearby import nearby
from .outlook import Outlook
from .program import Program
from .queues import Kept, kept
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import infeasibility
from .solver.problem import BoolArray, FloatArray, IntArray, Problem
from .solver.slowest import minimise_slowest
from .solver.solve import Infeasible
from .trial import Trial

SHARES = (0.998, 0.98, 0.9, 0.5)
"""Of the target."""


class Slowest(Priced):
    """The least time in which the slowest client gets through its round. `find_gap` is as that of
    `Sum`; boxes are asked by `Faster`."""

    def __init__(self, clock: Clock, find_gap: float | None = None) -> None:
        super().__init__(clock)
        self.find_gap = find_gap

    def value(self, program: Program, x: IntArray, level: FloatArray) -> float:
        return float(program.round_seconds(level)[x > 0].max())

    def values(self, program: Program, trial: Trial) -> FloatArray:
        longest = np.zeros(len(trial.filled))
        np.maximum.at(longest, trial.choice, program.rounds[trial.column] * trial.seconds)
        return longest

    def solve(self, program: Program, level: FloatArray, margins: FloatArray) -> IntArray | None:
        problem = program.at(level)
        found = kept(replace(problem, caps=problem.caps * margins), program.in_time(level))
        return self._least(found, program.round_seconds(level))

    def near(self, program: Program, x: IntArray, level: FloatArray) -> IntArray | None:
        """The least longest time, at times as they are. Where nobody can be sooner than the slowest
        group is, this one's mean time, at queues and links that move."""
        rounds, used = program.round_seconds(level), np.flatnonzero(x)
        slowest, in_time = used[rounds[used].argmax()], program.in_time(level)
        price = _of_group(program, int(program.static.group_of(slowest)))
        problem = nearby(program, x, level, price)
        sooner = self._least(kept(problem, in_time & (rounds < rounds[slowest])), rounds)
        if sooner is not None:
            return sooner
        return self._found(problem, in_time & (rounds <= rounds[slowest]), NEAR_GAP, NEAR_EFFORT, x)

    def of_boxes(self) -> Goal:
        return Faster(self.clock)

    def _least(self, found: Kept | None, times: FloatArray) -> IntArray | None:
        """The choice of the columns that are kept whose longest time is about the least."""
        if found is None:
            return None
        left, over = self.clock.left(), self.clock.over
        try:
            solved = minimise_slowest(
                found.problem,
                times[found.columns],
                left,
                stop=over,
                gap=self.find_gap or FIND_GAP,
                prove=self.find_gap is not None,
            )
        except TimeoutError:
            return None
        return None if isinstance(solved, Infeasible) else found.full(solved.solution.counts)


class Faster(AnyChoice):
    """Any choice that is faster than the best one: nobody takes a column that takes as long at the
    low edge of a box."""

    def usable(self, box: Box, target: float) -> BoolArray:
        return box.in_time & (box.round_seconds < target)

    def confirmed(self, problem: Problem) -> tuple[bool, IntArray | None]:
        """A choice is known, so that nobody is told that there is no plan."""
        return True, None

    def at_once(self, box: Box, target: float) -> Outlook | None:
        found = super().at_once(box, target)
        if found is None or found.bound >= target:
            return found
        return replace(found, bound=self.least(box, target))

    def least(self, box: Box, target: float) -> float:
        """About the most that rows show that every choice of a box takes, up to the target."""
        found = kept(box.lowest(self.price(box)), box.in_time)
        if found is None:
            return target
        times = box.round_seconds[found.columns]
        fastest = float(np.minimum.reduceat(times, found.problem.offsets[:-1]).max())
        lagrangian = Lagrangian(found.problem, priced=False, times=times)
        for share in SHARES:
            sooner = float(np.nextafter(share * target, 0.0))
            if sooner < fastest:
                break
            if infeasibility(lagrangian, self.clock, sooner)[1]:
                return share * target
        return fastest


def _of_group(program: Program, group: int) -> Price:
    """The mean time of one group's rounds."""
    static = program.static
    first, last = static.offsets[group : group + 2]
    per_second = np.zeros(static.columns)
    per_second[first:last] = program.rounds[first:last] / static.counts[group]
    return Price(per_second, np.zeros(static.columns))
