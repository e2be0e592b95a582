"""One objective after another: each among the choices that are good enough at those before it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .any_choice import any_choice
from .best import GAP, Best
from .cheapest_levels import cheapest_levels
from .choice import Choice
from .goal_on_grid import sum_goal
from .goal_slowest import Slowest
from .links import with_own_traffic
from .objective import ABSENT, Objective
from .program import C5_COMPUTE, C6_DOWN, C6_UP, Program
from .queues import holds
from .search import Search
from .solver.clock import Clock
from .solver.core import PROVEN_GAP
from .solver.problem import FloatArray, IntArray
from .solver.slowest import minimise_slowest
from .solver.solve import Infeasible, OnProgress, minimise
from .solver.within import Ceiling, with_ceilings

ROUNDING = 1e-9
MARGINS = (1.0, 0.99, 0.95, 0.8)
"""Of C5_server_compute and C6, for a choice with shorter queues than those it is looked for at."""


def choose(
    program: Program,
    objectives: Sequence[Objective],
    slack: float,
    clock: Clock,
    on_progress: OnProgress | None = None,
    prove: bool = True,
    gap: float = GAP,
) -> Choice | Infeasible:
    """The best choice by the first objective; among those within `slack` of it, by the second; and
    so on. Objectives behind one that depends on the queues are optimised at the queues that it led
    to, which stay no longer. Without `prove` the first bounds are -inf; with it, choices are
    bettered to `gap`.

    Raises TimeoutError where the time ends with neither a choice nor a proof that there is none.
    """
    waits = [o.slowest or program.per_second[i].any() for i, o in enumerate(objectives)]
    main = waits.index(True) if True in waits else len(objectives) - 1
    held, best, bounds = program, None, list[float]()
    for index, objective in enumerate(objectives[: main + 1]):
        if best is not None and best.x is not None:
            held = _held(held, index - 1, objectives[index - 1], best.x, slack)
        part = clock if index == main else clock.part(clock.left() / 2)
        goal = Slowest(part) if objective.slowest else sum_goal(held, index, part)
        search = Search(goal, held, part, on_progress)
        refusal = _run(search, index, objective, best, prove, gap)
        if refusal is not None:
            return refusal
        best = search.best
        assert best.x is not None
        bounds.append(search.bound)
    assert best is not None and best.x is not None
    own = replace(best.own, static=program.static)
    choice = Choice(own, best.x, best.level, tuple(bounds))
    later = _Later(choice, slack, clock, on_progress)
    for index, objective in enumerate(objectives):
        if index > main:
            choice = later.improve(index, objective, choice)
        later.hold(index, objective, choice.x)
    return choice


def _run(
    search: Search, index: int, objective: Objective, before: Best | None, prove: bool, gap: float
) -> Infeasible | None:
    """`before` has a choice that may be bettered."""
    best, program, clock = search.best, search.program, search.clock
    best.gap = gap
    if objective.name == ABSENT:
        with contextlib.suppress(TimeoutError):
            best.offer(any_choice(program, clock.part(clock.left() / 4)).x)
    start = best.level
    if best.x is None:
        start = cheapest_levels(program, index, clock)
        best.find(start)
    if before is not None and before.x is not None:
        best.offer(before.x)
    return search.prove(start) if prove or best.x is None else None


def _held(program: Program, index: int, objective: Objective, x: IntArray, slack: float) -> Program:
    """With one more row that no queue changes: an objective is no more than what x reaches, and the
    slack."""
    cost = program.fixed[index]
    row = Ceiling(objective.name, cost, _most(objective, float(cost @ x), slack))
    return replace(program, static=with_ceilings(program.static, [row]))


def _most(objective: Objective, reached: float, slack: float) -> float:
    """What an objective may be for the sake of those after it: nobody is left out for these."""
    return reached + ((0.0 if objective.name == ABSENT else slack) + ROUNDING) * abs(reached)


class _Later:
    """The program at the first objective's queues, with what has been reached as limits."""

    def __init__(
        self, first: Choice, slack: float, clock: Clock, on_progress: OnProgress | None
    ) -> None:
        self.program, self.level, self.slack = first.program, first.level, slack
        self.clock, self.on_progress = clock, on_progress
        self.ceilings: list[Ceiling] = []
        self.longest = np.inf
        """Seconds of a round that no column may exceed."""
        self._limits: list[tuple[int, Objective, float]] = []
        """What a choice may reach at its own queues."""

    def hold(self, index: int, objective: Objective, x: IntArray) -> None:
        """What x reaches, and the slack, is from now on a limit."""
        reached = _value(self.program, index, objective, x, self.level)
        most = _most(objective, reached, self.slack)
        self._limits.append((index, objective, most + PROVEN_GAP * abs(reached)))
        if objective.slowest:
            self.longest = most
            return
        cost = self.program.cost(index, self.level)
        self.ceilings.append(Ceiling(objective.name, cost, most))

    def improve(self, index: int, objective: Objective, choice: Choice) -> Choice:
        """The first bound counts: margins only make what is found keep the limits, and the earlier
        objectives at its own queues."""
        bound = -np.inf
        for margin in MARGINS:
            x, proven = self._solve(index, objective, choice.x, margin)
            bound = proven if margin == 1.0 else bound
            own, level = with_own_traffic(self.program, x)
            if holds(own, x, level) and self._keeps_limits(own, x, level):
                return Choice(own, x, level, (*choice.bounds, bound))
        return replace(choice, bounds=(*choice.bounds, bound))

    def _keeps_limits(self, own: Program, x: IntArray, level: FloatArray) -> bool:
        return all(
            _value(own, index, objective, x, level) <= most
            for index, objective, most in self._limits
        )

    def _solve(
        self, index: int, objective: Objective, start: IntArray, margin: float
    ) -> tuple[IntArray, float]:
        problem = with_ceilings(self.program.at(self.level, index), self.ceilings)
        tight = np.array([name.startswith((C5_COMPUTE, C6_UP, C6_DOWN)) for name in problem.rows])
        problem = replace(problem, caps=np.where(tight, margin, 1.0) * problem.caps)
        rounds = self.program.round_seconds(self.level)
        columns = np.flatnonzero((rounds <= self.longest) & self.program.in_time(self.level))
        problem, left, over = problem.keep(columns), self.clock.left(), self.clock.over
        if objective.slowest:
            slowest = minimise_slowest(problem, rounds[columns], left, self.on_progress, over)
            found = slowest if isinstance(slowest, Infeasible) else slowest.solution
            bound = -np.inf if isinstance(slowest, Infeasible) else slowest.bound
        else:
            found = minimise(problem, left, self.on_progress, over, start[columns])
            bound = -np.inf if isinstance(found, Infeasible) else found.bound
        if isinstance(found, Infeasible):  # by the margin, or in the last digit: `start` is known
            return start, bound
        x = np.zeros_like(start)
        x[columns] = found.counts
        return x, bound


def _value(
    program: Program, index: int, objective: Objective, x: IntArray, level: FloatArray
) -> float:
    if objective.slowest:
        return float(program.round_seconds(level)[x > 0].max())
    return float(program.cost(index, level) @ x)
