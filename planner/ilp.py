"""The integer linear program: one depth for each client, least step seconds in total.

Clients with equal options are one group, whose variable x[g,d] counts the members at depth d
(for a group of one it is binary). Constraint names carry the labels of docs/planner.md.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pulp

from .limits import SharedLimit
from .options import Option

PROVEN_GAP = 1e-4
"""A plan within this of the proven bound is called optimal."""
SOLVER_GAP = 1e-6
ROW_TOLERANCE = 1e-9
"""By how much of its cap the solver may overrun a shared limit."""
EQUAL_COST = 1e-12


@dataclass(frozen=True, order=True)
class Group:
    """Clients with the same options."""

    options: tuple[Option, ...]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """How many members of each group take each of its options, and the proven lower bound."""

    counts: tuple[tuple[int, ...], ...]
    bound: float

    def assignments(self, groups: Sequence[Group]) -> dict[str, Option]:
        """Client to option; the first names of a group get its deepest options."""
        chosen: dict[str, Option] = {}
        for group, counts in zip(groups, self.counts, strict=True):
            spread = [o for o, n in zip(group.options, counts, strict=True) for _ in range(n)]
            spread.sort(key=lambda option: -option.depth)
            chosen.update(zip(group.members, spread, strict=True))
        return chosen


def group_clients(names: Sequence[str], options: Sequence[tuple[Option, ...]]) -> list[Group]:
    """Groups in an order that does not depend on the order of the clients.

    An option is dropped where a deeper one of the same client takes the same time (to 12 digits):
    the deeper one asks no more of any limit, so this prefers private blocks at no cost.
    """
    members: dict[tuple[Option, ...], list[str]] = {}
    for name, choices in zip(names, options, strict=True):
        members.setdefault(choices, []).append(name)
    return sorted(Group(_deepest_of_equals(o), tuple(sorted(m))) for o, m in members.items())


def _deepest_of_equals(options: tuple[Option, ...]) -> tuple[Option, ...]:
    kept: list[Option] = []
    for option in reversed(options):  # deepest first
        if not any(_same_time(option, deeper) for deeper in kept):
            kept.append(option)
    return tuple(reversed(kept))


def _same_time(one: Option, other: Option) -> bool:
    return math.isclose(one.step_seconds, other.step_seconds, rel_tol=EQUAL_COST)


def minimise(
    groups: Sequence[Group], limits: Sequence[SharedLimit], time_limit_seconds: float
) -> Choice | None:
    """The cheapest choice found in the time, with its bound; None where none exists.

    Raises TimeoutError where the time ends with neither a choice nor a proof that none exists.
    Every group needs at least one option.
    """
    if any(impossible_alone(groups, limit) for limit in limits):
        return None
    problem, variables = build(groups, limits)
    solver = _QuietHiGHS(
        msg=False,
        timeLimit=time_limit_seconds,
        gapRel=SOLVER_GAP,
        threads=1,
        mip_feasibility_tolerance=ROW_TOLERANCE,
        primal_feasibility_tolerance=ROW_TOLERANCE,
    )
    problem.solve(solver)
    floor = lowest_total(groups)
    if problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        counts = tuple(tuple(round(x.varValue) for x in row) for row in variables)
        proven = problem.solverModel.getInfo().mip_dual_bound * floor
        bound = max(floor, proven) if math.isfinite(proven) else floor
        return Choice(counts, min(bound, total_seconds(groups, counts)))
    fallback = lightest(groups, limits)
    if fallback is not None:
        return Choice(fallback, floor)
    if problem.sol_status == pulp.LpSolutionInfeasible:
        return None
    raise TimeoutError


def build(
    groups: Sequence[Group], limits: Sequence[SharedLimit]
) -> tuple[pulp.LpProblem, list[list[pulp.LpVariable]]]:
    """The model and its variables x[g][o]; objective and rows are divided by their own scale."""
    problem = pulp.LpProblem("flexp", pulp.LpMinimize)
    variables = [
        [
            problem.add_variable(f"x_{g}_{o.depth}", 0, len(group.members), pulp.LpInteger)
            for o in group.options
        ]
        for g, group in enumerate(groups)
    ]
    columns = [
        (x, option)
        for row, group in zip(variables, groups, strict=True)
        for x, option in zip(row, group.options, strict=True)
    ]
    scale = lowest_total(groups)
    problem += pulp.LpAffineExpression((x, option.step_seconds / scale) for x, option in columns)
    for g, (row, group) in enumerate(zip(variables, groups, strict=True)):
        everyone = pulp.LpAffineExpression((x, 1) for x in row)
        problem += (everyone == len(group.members), f"C1_assign_{g}")
    for limit in limits:
        load = pulp.LpAffineExpression((x, limit.load(option) / limit.cap) for x, option in columns)
        problem += (load <= 1 - limit.used / limit.cap, limit.label)
    return problem, variables


def total_seconds(groups: Sequence[Group], counts: Sequence[Sequence[int]]) -> float:
    return math.fsum(
        n * option.step_seconds
        for group, row in zip(groups, counts, strict=True)
        for option, n in zip(group.options, row, strict=True)
    )


def lowest_total(groups: Sequence[Group]) -> float:
    """Σ of each client's fastest step: a bound that ignores the shared limits."""
    return math.fsum(len(g.members) * min(o.step_seconds for o in g.options) for g in groups)


def least_load(groups: Sequence[Group], limit: SharedLimit) -> float:
    """The least that the clients can ask of one shared limit, each at its best for it."""
    return math.fsum(len(g.members) * min(map(limit.load, g.options)) for g in groups)


def impossible_alone(groups: Sequence[Group], limit: SharedLimit) -> bool:
    return exceeds(limit.used + least_load(groups, limit), limit)


def exceeds(used: float, limit: SharedLimit) -> bool:
    return used > limit.cap * (1 + ROW_TOLERANCE)


def lightest(
    groups: Sequence[Group], limits: Sequence[SharedLimit]
) -> tuple[tuple[int, ...], ...] | None:
    """Each client at the option whose largest share of a limit is smallest, if that keeps all."""
    counts = []
    used = {limit.label: limit.used for limit in limits}
    for group in groups:
        best = min(group.options, key=lambda o: max(r.load(o) / r.cap for r in limits))
        counts.append(tuple(len(group.members) * (o is best) for o in group.options))
        for limit in limits:
            used[limit.label] += len(group.members) * limit.load(best)
    return None if any(exceeds(used[limit.label], limit) for limit in limits) else tuple(counts)


class _QuietHiGHS(pulp.HiGHS):
    """HiGHS without its banner, which the constructor writes to file descriptor 1."""

    def createAndConfigureSolver(self, lp: Any) -> None:  # noqa: N802 (pulp's name)
        with _silent_stdout():
            super().createAndConfigureSolver(lp)


_redirecting = threading.Lock()


@contextlib.contextmanager
def _silent_stdout() -> Iterator[None]:
    """Descriptor 1 leads nowhere meanwhile; one thread at a time, or it would never come back."""
    with _redirecting:
        sys.stdout.flush()
        kept = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(nowhere)
            os.close(kept)
