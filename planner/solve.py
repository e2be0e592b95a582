"""From a profile and a fleet to a checked plan. Pure: no files, no globals."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..catalog.files import content_hash
from ..errors import FlexpError
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .any_choice import any_choice, impossible
from .assign import Run, on_machines, runs
from .best import GAP
from .build import Builder
from .checker import check, violations
from .choice import Choice
from .fleet import ResolvedClient, ResolvedFleet
from .in_order import choose
from .machines import Clients, Servers, client_arrays, server_arrays
from .menu import Menu, make_menu
from .objective import ABSENT, Objective, check_known, parse_objective
from .objective_value import objective_value
from .plan import ObjectiveResult, Plan, relative_gap
from .pricing import choose_by_pricing, large
from .program import LABELS
from .promise import write_up
from .solver.clock import Clock
from .solver.core import PROVEN_GAP
from .solver.problem import BoolArray, IntArray
from .solver.solve import Infeasible, Progress
from .value import DEFAULT_CURVE, ValueCurve

UNEVEN = (
    "the clients could not be spread evenly over the equal servers; that there is no plan is "
    "proven only where these are listed one by one in the fleet's file"
)
MARGINS = (1.0, 0.99995, 0.9999, 0.9998, 0.9995, 0.999, 0.998, 0.99, 0.95, 0.9, 0.8)
"""Of the shared limits, where single devices don't divide evenly over equal machines."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a plan is asked to be."""

    objective: str = "total"
    """As `parse_objective` reads it."""
    slack: float = 0.0
    """By how much of its value an objective may be missed for the sake of those after it."""
    curve: ValueCurve = DEFAULT_CURVE
    time_limit_seconds: float = 60.0
    on_progress: Callable[[Progress], None] | None = None
    stop: Callable[[], bool] | None = None
    more_profiles: Callable[[], Mapping[int, Profile]] | None = None
    """Of smaller batches, by size: asked for where there is no plan, to see whether they help."""
    prove: bool = True
    """Whether the best plan is looked for; else any plan will do."""


@dataclass(frozen=True, eq=False)
class Task:
    """A fleet and its profiles, in the shape that the solver works on."""

    profiles: Mapping[int, Profile]
    fleet: ResolvedFleet
    menu: Menu
    clients: Clients
    """In the order of their names, so that the order in the fleet's file changes nothing."""
    order: tuple[int, ...]
    """Index in the fleet of each line of `clients`."""
    servers: Servers
    left_out: tuple[int, ...] = ()
    """Indices in the fleet of those that can take no part."""

    def without(self, stuck: IntArray) -> Task:
        """The same without some lines of `clients`, which take no part."""
        rest = np.delete(np.arange(len(self.order)), stuck)
        return replace(
            self,
            clients=self.clients.take(rest),
            order=tuple(self.order[index] for index in rest),
            left_out=tuple(self.order[index] for index in stuck),
        )

    def bound(self, objective: Objective, proven: float) -> float:
        """Of the whole fleet, from what is proven of those that can take part."""
        clients = (self.fleet.clients[index] for index in self.left_out)
        away = math.fsum(client.weight * client.count for client in clients)
        return proven + away * sum(w for w, metric in objective.terms if metric == ABSENT)

    @cached_property
    def fleet_hash(self) -> str:
        return content_hash(self.fleet)

    def builder(
        self, objectives: Sequence[Objective], curve: ValueCurve, margin: float = 1.0
    ) -> Builder:
        """Of the program; `margin` is the share of the servers' limits that it may use."""
        policy = self.fleet.policy
        use = {"server_utilisation": policy.server_utilisation * margin}
        servers = replace(self.servers, memory_bytes=self.servers.memory_bytes * margin)
        return Builder(
            self.menu,
            self.clients,
            servers,
            policy.model_copy(update=use) if margin < 1 else policy,
            objectives,
            next(iter(self.profiles.values())).blocks,
            curve,
        )


def prepare(profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> Task:
    """`profiles` by batch size, the round's first."""
    policy = fleet.policy
    profile = next(iter(profiles.values()))
    order = sorted(range(len(fleet.clients)), key=lambda index: fleet.clients[index].name)
    backbone = server_backbone_bytes(profile, policy.server_side, heads=policy.labels_may_leave)
    return Task(
        profiles=profiles,
        fleet=fleet,
        menu=make_menu(profiles, policy),
        clients=client_arrays([fleet.clients[index] for index in order]),
        order=tuple(order),
        servers=server_arrays(fleet.servers, backbone),
    )


@dataclass(frozen=True)
class NoPlan:
    """It is proven that there is none, unless `uneven`."""

    stuck: tuple[ResolvedClient, ...] = ()
    """Clients that must take part and have no variant that keeps their own limits; none: the limits
    that clients share can't be kept."""
    uneven: bool = False
    """Equal servers as one could keep them; it is not proven that clients can't be spread."""


def make_plan(
    profiles: Mapping[int, Profile], fleet: ResolvedFleet, wanted: Wanted = Wanted()
) -> Plan:
    """The best plan by the objectives wanted, verified by planner/checker.py.

    Optional clients are left out only where not everyone can take part, and then as few as
    possible. When the time ends, or `stop` asks for it, the best plan found, with its gap and the
    status "feasible". Raises InfeasibleError with the reason where no plan exists, and FlexpError
    where the search ended with neither a plan nor that proof.
    """
    found = find_plan(profiles, fleet, wanted)
    if isinstance(found, NoPlan):
        from .diagnose import diagnose  # it plans changed fleets

        if wanted.more_profiles is not None:
            profiles = {**profiles, **wanted.more_profiles()}
        clock = Clock(wanted.time_limit_seconds, wanted.stop)
        diagnosis = diagnose(profiles, fleet, found.stuck, clock)
        known = (UNEVEN,) if found.uneven else ()
        raise replace(diagnosis, reasons=(*known, *diagnosis.reasons)).error
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for garbage in cycles, of which planning leaves little: it would look at
    all objects of a large fleet again and again. They go to the old ones afterwards, which are
    looked at the least often."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if was:
            gc.enable()


@_uncollected()
def find_plan(
    profiles: Mapping[int, Profile], fleet: ResolvedFleet, wanted: Wanted
) -> Plan | NoPlan:
    """As `make_plan`, without looking for reasons where there is no plan."""
    task = prepare(profiles, fleet)
    objectives = parse_objective(wanted.objective)
    check_known(objectives, task.clients, task.servers)
    clock = Clock(wanted.time_limit_seconds, wanted.stop)
    try:
        return _plan(task, objectives, wanted, clock)
    except TimeoutError:
        raise FlexpError(
            f"no plan found in {wanted.time_limit_seconds:g} s, nor a proof that none exists",
            "give the solver more time with --time-limit",
        ) from None


def _plan(
    task: Task, objectives: tuple[Objective, ...], wanted: Wanted, clock: Clock
) -> Plan | NoPlan:
    clients = [task.fleet.clients[index] for index in task.order]
    stuck = task.builder(objectives, wanted.curve).stuck()
    required = [clients[index] for index in stuck if not clients[index].optional]
    if required or len(stuck) == len(clients):
        return NoPlan(tuple(required or clients))
    task = task.without(stuck)
    found = _first_that_fits(task, objectives, wanted, clock, None)
    optional = np.array([task.fleet.clients[index].optional for index in task.order])
    if isinstance(found, NoPlan) and optional.any():
        objectives = (*parse_objective(ABSENT), *objectives)
        found = _first_that_fits(task, objectives, wanted, clock, optional)
    return found if isinstance(found, NoPlan) or found.clients else NoPlan()


def _first_that_fits(
    task: Task,
    objectives: Sequence[Objective],
    wanted: Wanted,
    clock: Clock,
    away: BoolArray | None,
) -> Plan | NoPlan:
    """The plan of the first search whose devices can be spread over the machines of each kind.

    Several machines are planned as one large one; single devices may not divide evenly over them,
    so the shared limits are lowered until they do. The bounds are those of the limits as they are,
    whose proof may take half of the time; it leaves part of the gap to what is lost by this.
    """
    bounds: tuple[float, ...] = ()
    several = any(server.count > 1 for server in task.fleet.servers)
    for margin in MARGINS if several else MARGINS[:1]:
        builder, prove = task.builder(objectives, wanted.curve, margin), not bounds
        part = clock.part(clock.left() / 2) if several and prove else clock
        choice: Choice | Infeasible | None = None
        if not wanted.prove:
            choice = any_choice(builder.build(away), clock, len(objectives))
        elif away is None and large(builder):
            short = part.part(part.left() / 3)
            choice = choose_by_pricing(builder, short, wanted.on_progress, prove)
        if choice is None:
            program = builder.build(away)
            if impossible(program, part):
                return NoPlan(uneven=bool(bounds))
            gap = GAP / 4 if several else GAP
            choice = choose(program, objectives, wanted.slack, part, wanted.on_progress, prove, gap)
        if isinstance(choice, Infeasible):
            return NoPlan(uneven=bool(bounds))
        bounds = bounds or tuple(map(task.bound, objectives, choice.bounds))
        plan = _with_results(_write_up(task, choice), objectives, bounds, task.fleet, wanted.curve)
        wrong = violations(plan, task.profiles, task.fleet, wanted.curve, task.fleet_hash)
        broken = {label for label, _ in wrong}
        if not broken:
            return plan
        if not several or not broken <= set(LABELS):
            check(plan, task.profiles, task.fleet, wanted.curve)
    raise FlexpError(
        "the clients' steps could not be spread evenly over the equal servers",
        "list the servers one by one in the fleet's file",
    )


def _write_up(task: Task, choice: Choice) -> Plan:
    """Columns become devices, devices get machines, and everything is written down."""
    program = choice.program
    assigned = runs(program, choice.x, task.clients.count, task.order)
    spread = on_machines(program, assigned, choice.level)
    taking_part = [run for run in spread if run.kind >= 0]
    absent = [run for run in spread if run.kind < 0]
    absent += [Run(i, 1, task.fleet.clients[i].count, -1, -1) for i in task.left_out]
    return write_up(
        task.profiles,
        task.fleet,
        task.menu,
        taking_part,
        program.variant[[run.column for run in taking_part]].tolist(),
        sorted(absent, key=lambda run: (run.client, run.first)),
        "optimized",
        task.fleet_hash,
    )


def _with_results(
    plan: Plan,
    objectives: Sequence[Objective],
    bounds: Sequence[float],
    fleet: ResolvedFleet,
    curve: ValueCurve,
) -> Plan:
    results = []
    for objective, proven in zip(objectives, bounds, strict=True):
        value = objective_value(objective, plan, fleet, curve)
        bound = min(proven, value)
        gap = relative_gap(value, bound)
        results.append(
            ObjectiveResult(
                name=objective.name,
                unit=objective.unit,
                value=value,
                bound=bound,
                gap=gap,
                status="optimal" if gap <= PROVEN_GAP else "feasible",
            )
        )
    return plan.model_copy(update={"objectives": tuple(results)})
