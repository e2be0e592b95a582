"""A choice that keeps every limit, whatever it costs, and the objectives aside.

At given levels of the queues the choice that asks the least of all rows together, each as a share
of its cap, leaves the most room for what its own levels ask. Levels are tried from the lowest that
any choice can have upwards: a deadline leaves fewer columns the longer the queues are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .in_order import Choice
from .links import with_own_traffic
from .program import Program
from .queues import Kept, fullest_links, holds, kept, reachable, settle
from .solver.clock import Clock
from .solver.lagrangian import Lagrangian
from .solver.multipliers import maximise
from .solver.problem import FloatArray, IntArray, Problem
from .solver.rounding import round_to_feasible
from .solver.solve import Infeasible, Solution, minimise

STEP = 1.25
"""Factor between levels."""
TRIES = 4
"""At the levels and links that the choice before makes."""
SMALL = 60
"""Members up to which an integer program decides what rounding could not."""
TOLERANCE = 1e-3
LOOSE = 0.05


def any_choice(program: Program, clock: Clock, objectives: int = 1) -> Choice:
    """Where clients may take no part, the one with the fewest absent that is found. Its bounds, one
    for each of `objectives`, are -inf. Raises TimeoutError where none was found, which is no proof
    that there is none."""
    best: Choice | None = None
    for found in _search(program, clock):
        if best is None or _absent(found) < _absent(best):
            best = found
        if _absent(best) == 0.0:
            break
    if best is None:
        raise TimeoutError
    return replace(best, bounds=(-np.inf,) * objectives)


def _absent(choice: Choice) -> float:
    return float(choice.program.absent @ choice.x)


def _search(program: Program, clock: Clock) -> Iterator[Choice]:
    if _impossible(program, clock):
        return
    full, seen = program.at_most(fullest_links(program)), set[bytes]()
    for level in _levels(program):
        for start in (program, full):
            if clock.over():
                return
            found = _near(start, level, clock, seen)
            if found is not None:
                yield found


def _impossible(program: Program, clock: Clock) -> bool:
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


def _near(program: Program, level: FloatArray, clock: Clock, seen: set[bytes]) -> Choice | None:
    """A choice at `level`, or at the levels and links that such choices make themselves. Those
    that don't keep the limits are `seen`, and not followed again."""
    for _ in range(TRIES):
        found = kept(_easiest(program.at(level), program), program.in_time(level))
        x = None if found is None else _solve(found, clock)
        if x is None or x.tobytes() in seen:
            return None
        seen.add(x.tobytes())
        own = _own(program, x)
        if _keeps(own):
            return own
        use = (own.program.link_use + program.link_use) / 2
        program, level = own.program.with_use(use), np.minimum(own.level, level)
    return None


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
    try:
        solution = minimise(problem, clock.left(), stop=clock.over, gap=LOOSE)
    except TimeoutError:
        return None
    return found.full(solution.counts) if isinstance(solution, Solution) else None


def _own(program: Program, x: IntArray) -> Choice:
    """x at its own traffic and levels."""
    own, level = with_own_traffic(program, x)
    return Choice(own, x, level, ())


def _keeps(choice: Choice) -> bool:
    return holds(choice.program, choice.x, choice.level)
