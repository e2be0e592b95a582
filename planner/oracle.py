"""Whether a changed fleet has a plan, soon: a choice is looked for, and its quality not proven.

A yes of `has_plan` is a checked plan. `seems_possible` looks at a sample of a large fleet, on
servers as full as before: it says where to look, and nothing is said that rests on it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import FlexpError
from ..profiler.profile import Profile
from .any_choice import any_choice
from .fleet import ResolvedFleet
from .objective import parse_objective
from .plan import Plan
from .program import Program
from .solve import NoPlan, Wanted, find_plan, prepare
from .solver.clock import Clock
from .value import DEFAULT_CURVE

QUICK_SECONDS = 2.0
"""For a choice in a sample."""
SECONDS = 4.0
"""For a plan."""
BEST_SECONDS = 2.0
"""For the best plan."""
SAMPLED = 300
"""Entries of a fleet that stand for all, if there are more than twice as many."""


class Oracle:
    """Answers within the time of `clock`; after that every answer is no."""

    def __init__(self, profiles: Mapping[int, Profile], clock: Clock) -> None:
        self.profiles, self.clock = profiles, clock

    def seems_possible(self, fleet: ResolvedFleet) -> bool:
        """Whether a choice is soon found; there is no proof in a no."""
        program = self.program(fleet)
        if program is None or self.clock.over():
            return False
        try:
            any_choice(program, self.clock.part(QUICK_SECONDS))
        except TimeoutError:
            return False
        return True

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
        found = self._plan(fleet, "total", BEST_SECONDS, True)
        return isinstance(found, NoPlan) and not found.stuck

    def best(self, fleet: ResolvedFleet, objective: str) -> Plan | None:
        """The best plan that is soon found."""
        found = self._plan(fleet, objective, BEST_SECONDS, True)
        return found if isinstance(found, Plan) else None

    def _plan(
        self, fleet: ResolvedFleet, objective: str, seconds: float, prove: bool
    ) -> Plan | NoPlan | None:
        limit = min(seconds, self.clock.left())
        if limit <= 0 or self.clock.over():
            return None
        wanted = Wanted(
            objective=objective, time_limit_seconds=limit, stop=self.clock.over, prove=prove
        )
        try:
            return find_plan(self.profiles, fleet, wanted)
        except FlexpError:
            return None
