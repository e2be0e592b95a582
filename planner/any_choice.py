"""A choice that keeps every limit, whatever it costs, and the objectives aside.

Every choice has its own level between two neighbours of a row of levels. Where no combination of
rows says that none has it there, the choice that asks the least of all rows together, each as a
share of its cap, leaves the most room for what it asks at its own queues and links, which are
emptier. If that is too much after all, a choice near it may ask less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .boxes import Price
from .choice import Choice
from .links import with_own_traffic
from .nearby import nearby
from .objective import ABSENT
from .program import C5_QUEUE, Program
from .queues import Kept, fullest_links, holds, kept, reachable, settle
from .solver.clock import Clock
from .solver.core import best_below
from .solver.lagrangian import Lagrangian
from .solver.multipliers import infeasibility, maximise
from .solver.problem import FloatArray, IntArray, Problem
from .solver.rounding import round_to_feasible
from .solver.solve import Infeasible, minimise
from .solver.whole_units import lower_caps
from .solver.within import Ceiling, with_ceilings

STEP = 1.6
"""Factor between levels."""
TRIES = 4
"""Of choices, each near the one before."""
LONGER = 2.0
"""Factor by which queues may be longer than near a choice: further away nothing is straight."""
SMALL = 60
"""Members up to which an integer program decides what rounding could not."""
TOLERANCE = 1e-3
LOOSE = 0.05
EFFORT, CLOSE = 50_000, 2.0
"""Branching nodes times columns that it may take; members that together cost, on the mean, as much
as a solution may cost above the bound."""
FEWER = 1 - 1e-6
"""Of those who were absent, so many may still be: fewer by at least one."""


def any_choice(program: Program, clock: Clock, objectives: int = 1) -> Choice:
    """Where clients may take no part, the one with the fewest absent that is found. Its bounds, one
    for each of `objectives`, are -inf. Raises TimeoutError where none was found, which is no proof
    that there is none."""
    best: Choice | None = None
    for best in Search(program, clock).choices():
        if not _absent(best):
            break
    if best is None:
        raise TimeoutError
    own = replace(best.program, static=program.static)
    return replace(best, program=own, bounds=(-np.inf,) * objectives)


def impossible(program: Program, clock: Clock) -> bool:
    """Whether one combination of rows proves at once that there is no choice."""
    return not Search(program, clock).room(np.zeros(len(program.servers)), program.most_level)


def _absent(choice: Choice) -> float:
    return float(choice.program.absent @ choice.x)


class Search:
    """`fast` and `slow`: steps no longer, and no shorter, than those of any choice."""

    def __init__(self, program: Program, clock: Clock) -> None:
        self.program, self.clock = program, clock
        self.fast = program.at_least(np.zeros_like(program.link_use))
        self.slow = program.at_most(fullest_links(program))
        self.combination: FloatArray | None = None
        self.seen = set[bytes]()

    def choices(self) -> Iterator[Choice]:
        """Each with fewer absent than the one before."""
        program = self.program
        if impossible(program, self.clock) or _too_much(program, self.clock):
            return
        for below, level in bands(program):
            while not self.clock.over() and self.room(below, level):
                found = self._near(below, level)
                if found is None:
                    break
                yield found
                self._hold(Ceiling(ABSENT, program.absent, FEWER * _absent(found)))

    def _hold(self, ceiling: Ceiling) -> None:
        """In place of an earlier one, if any."""
        static = lower_caps(with_ceilings(self.program.static, [ceiling]))
        self.fast, self.slow = (replace(one, static=static) for one in (self.fast, self.slow))
        self.combination = None

    def room(self, below: FloatArray, level: FloatArray) -> bool:
        """Whether a choice may have its own level between these. A combination of rows that all
        choices exceed says that none has, and is the first that is tried the next time."""
        share = self.fast.steps(below).share / self.program.servers.count[self.program.kind]
        waiting = Ceiling("waiting", -share, -1.0 if below.any() else 0.0)
        problem = with_ceilings(self.slow.at(level), [waiting])
        found = kept(problem, self.fast.in_time(below))
        if found is None:
            return False
        lagrangian = Lagrangian(found.problem, priced=False)
        tried, impossible = infeasibility(lagrangian, self.clock, start=self.combination)
        self.combination = tried.multipliers
        return not impossible

    def _near(self, below: FloatArray, level: FloatArray) -> Choice | None:
        """A choice at `level` and full links, or one near such a choice. Those that don't keep the
        limits are `seen`, and not followed again."""
        program, problem = self.slow, self.slow.at(level)
        in_time = self.fast.in_time(below)
        for _ in range(TRIES):
            found = kept(_easiest(problem, program), in_time)
            x = None if found is None else _solve(found, self.clock)
            if x is None or x.tobytes() in self.seen:
                return None
            self.seen.add(x.tobytes())
            own = _own(program, x)
            if _keeps(own):
                return own
            program, problem, in_time = own.program, _around(own), own.program.in_time(own.level)
        return None


def _around(choice: Choice) -> Problem:
    """Of choices near one."""
    program, level = choice.program, choice.level
    steps = program.steps(level)
    queues = [
        Ceiling(row.name, program.asked(row, steps.share, steps.often), LONGER * program.cap(row))
        for row in program.rows
        if row.label == C5_QUEUE
    ]
    return with_ceilings(nearby(program, choice.x, level, Price.nothing(program)), queues)


def bands(program: Program) -> list[tuple[FloatArray, FloatArray]]:
    """Levels that are neighbours. Where clients may be absent, the highest first: the fewer are,
    the longer the others wait."""
    levels = list(_levels(program))
    bands = list(zip([np.zeros_like(levels[0]), *levels], levels, strict=False))
    return bands[::-1] if program.absent.any() else bands


def _too_much(program: Program, clock: Clock) -> bool:
    """Whether the rows that don't depend on queues are too much already."""
    static = _easiest(program.static, program)
    if static.members <= SMALL:
        try:
            return isinstance(
                minimise(static, clock.left(), stop=clock.over, gap=LOOSE), Infeasible
            )
        except TimeoutError:
            return True
    return maximise(Lagrangian(static), TOLERANCE, clock).infeasible


def _levels(program: Program) -> Iterator[FloatArray]:
    """From the lowest levels that a choice can have to the highest."""
    most = program.most_level
    middle = settle(program, _least(program, 1e-3 * most))
    low, high = reachable(program, np.where(middle > 0, middle, 1e-3 * most))
    level = np.maximum(low, 1e-3 * np.maximum(middle, 1e-3 * most))
    while (level < high).any():
        yield level
        level = np.minimum(level * STEP, high)
    yield high


def _least(program: Program, level: FloatArray) -> IntArray:
    """Everyone at the column that asks the least, limits aside."""
    problem = _easiest(program.at(level), program)
    best = Lagrangian(problem)(np.zeros(len(problem.caps))).chosen
    x = np.zeros(problem.columns, dtype=np.int64)
    x[best] = problem.counts
    return x


def _easiest(problem: Problem, program: Program) -> Problem:
    """The same with what a column asks, as shares of all caps, in place of its cost; and above all
    with as few absent as possible."""
    scale = np.where(problem.caps > 0, problem.caps, np.inf)
    asked = (problem.weights / scale[:, None]).sum(axis=0)
    dearest = float(np.maximum.reduceat(asked, problem.offsets[:-1]) @ problem.counts)
    return replace(problem, cost=asked + 2 * dearest * program.absent)


def _solve(found: Kept, clock: Clock) -> IntArray | None:
    problem = found.problem
    lagrangian = Lagrangian(problem)
    dual = maximise(lagrangian, TOLERANCE, clock)
    if dual.infeasible:
        return None
    reduced = lagrangian.reduced_costs(dual.best)
    for pick in {id(e): e for e in (dual.best, *reversed(dual.picks))}.values():
        x = round_to_feasible(problem, pick.chosen, reduced, clock)
        if x is not None:
            return found.full(x)
    if problem.members > SMALL:
        return None
    bound = dual.best.bound
    gap = CLOSE * abs(bound) / problem.members
    x, _ = best_below(problem, dual.best, reduced, bound + gap, gap, clock, EFFORT)
    return None if x is None else found.full(x)


def _own(program: Program, x: IntArray) -> Choice:
    """x at its own traffic and levels."""
    own, level = with_own_traffic(program, x)
    return Choice(own, x, level, ())


def _keeps(choice: Choice) -> bool:
    return holds(choice.program, choice.x, choice.level)
