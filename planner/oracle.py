"""Whether a changed fleet has a plan, soon: a choice is looked for, and its quality not proven.

A yes of `has_plan` is a checked plan. `filled` looks at a sample of a large fleet, on
servers as full as before: it says where to look, and nothing is said that rests on it alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import FlexpError
from ..profiler.profile import Profile
from .any_choice import any_choice
from .assign import runs
from .fleet import ResolvedFleet
from .objective import ABSENT, parse_objective
from .plan import Plan
from .program import Program
from .queues import filled
from .shared import leave_out
from .solve import NoPlan, Wanted, find_plan, prepare
from .solver.clock import Clock
from .value import DEFAULT_CURVE

QUICK_SECONDS = 2.0
"""For a choice in a sample."""
SECONDS = 4.0
"""For a plan."""
PROOF_SECONDS = 2.0
"""For a proof that there is no plan."""
MARGINS = (1.0, 0.97, 0.9, 0.8)
"""Of the servers' limits, where clients don't divide evenly over equal machines."""
SAMPLED = 300
"""Entries of a fleet that stand for all, if there are more than twice as many."""


class Oracle:
    """Its questions raise TimeoutError after the time of `clock`."""

    def __init__(self, profiles: Mapping[int, Profile], clock: Clock) -> None:
        self.profiles, self.clock = profiles, clock

    def filled(self, fleet: ResolvedFleet) -> dict[str, float] | None:
        """Share of each shared limit that a choice fills, by the name of its row, and "" for the
        deadline; None where no choice is soon found: there is no proof in that."""
        self._in_time()
        program = self.program(fleet)
        if program is None:
            return None
        try:
            choice = any_choice(program, self.clock.part(QUICK_SECONDS))
        except TimeoutError:
            self._in_time()
            return None
        own, x, level = choice.program, choice.x, choice.level
        names = [*own.static.rows, *(row.name for row in own.rows)]
        longest = float(own.steps(level).seconds[x > 0].max())
        deadline = fleet.policy.step_deadline_seconds or math.inf
        return {**dict(zip(names, filled(own, x, level), strict=True)), "": longest / deadline}

    def _in_time(self) -> None:
        if self.clock.over():
            raise TimeoutError

    def program(self, fleet: ResolvedFleet) -> Program | None:
        """Of a sample; None where a client has no variant that keeps its own limits."""
        entries = len(fleet.clients)
        every = max(1, entries // SAMPLED) if entries > 2 * SAMPLED else 1
        some = fleet.clients[::every]
        part = fleet.model_copy(update={"clients": some})
        task = prepare(self.profiles, part)
        builder = task.builder(parse_objective("total"), DEFAULT_CURVE)
        if len(builder.stuck()):
            return None
        program = builder.build(None)
        share = part.members / fleet.members
        if share == 1:
            return program
        servers = program.servers
        fewer = replace(servers, count=np.asarray(servers.count * share, dtype=float))
        static = replace(program.static, caps=program.static.caps * share)
        return replace(program, servers=fewer, static=static)

    def has_plan(self, fleet: ResolvedFleet) -> bool:
        """Whether a plan is found in the time: any, and checked."""
        return isinstance(self._plan(fleet, "total", SECONDS, False), Plan)

    def proves_none(self, fleet: ResolvedFleet) -> bool:
        """Whether it is soon proven that there is no plan though every client has a choice."""
        found = self._plan(fleet, "total", PROOF_SECONDS, True)
        return isinstance(found, NoPlan) and not found.stuck and not found.uneven

    def fewest_absent(self, fleet: ResolvedFleet) -> dict[str, int] | None:
        """How many members of which entries to leave out so that the others have a plan, as few as
        are found; None where that is not soon found."""
        task = prepare(self.profiles, fleet)
        for margin in MARGINS:
            builder = task.builder(parse_objective(ABSENT), DEFAULT_CURVE, margin)
            program = builder.build(np.ones(len(fleet.clients), dtype=bool))
            try:
                choice = any_choice(program, self.clock.part(QUICK_SECONDS))
            except TimeoutError:
                self._in_time()
                return None
            away: dict[str, int] = {}
            for run in runs(choice.program, choice.x, task.clients.count, task.order):
                if run.kind < 0:
                    name = fleet.clients[run.client].name
                    away[name] = away.get(name, 0) + run.members
            if sum(away.values()) in (0, fleet.members):
                return None
            if self.has_plan(leave_out(fleet, away).apply(fleet)):
                return away
        return None

    def _plan(
        self, fleet: ResolvedFleet, objective: str, seconds: float, prove: bool
    ) -> Plan | NoPlan | None:
        self._in_time()
        limit = min(seconds, self.clock.left())
        wanted = Wanted(
            objective=objective, time_limit_seconds=limit, stop=self.clock.over, prove=prove
        )
        try:
            return find_plan(self.profiles, fleet, wanted)
        except FlexpError:
            self._in_time()
            return None
