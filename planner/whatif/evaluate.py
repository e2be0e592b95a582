"""Scenarios planned: each with the same profiles and solver as `flexp plan`, several at a time."""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event

from ...errors import FlexpError
from ...profiler.profile import Profile
from ..fleet import ResolvedFleet
from ..plan import Plan
from ..solve import NoPlan, Wanted, find_plan
from ..solver.solve import Progress
from .outcome import Outcome, WhatIf, classes_of, difference, figures_of
from .situation import Situation
from .why import reasons

Training = tuple[str | None, int | None]
"""Model and batch of a situation: what a set of profiles is for."""
FEW = 6
"""Scenarios up to which starting processes takes longer than it saves."""


@dataclass(frozen=True)
class Case:
    """A situation to plan, under the name it is shown by."""

    name: str
    situation: Situation
    changes: tuple[str, ...] = ()

    @property
    def training(self) -> Training:
        return (self.situation.model, self.situation.batch)


@dataclass(frozen=True)
class Bench:
    """What all cases are planned with."""

    profiles: Mapping[Training, Mapping[int, Profile]]
    wanted: Wanted
    workers: int = 1
    """Processes that plan at the same time."""

    def plan(self, situation: Situation) -> Plan | NoPlan:
        """Raises FlexpError where neither is found in time."""
        profiles = self.profiles[(situation.model, situation.batch)]
        return find_plan(profiles, situation.fleet, self.wanted)


def first_plan(
    profiles: Mapping[int, Profile], fleet: ResolvedFleet, wanted: Wanted
) -> Plan | NoPlan:
    """Any plan is enough: the search ends with the first one. Raises as `find_plan`."""
    found = Event()

    def on_progress(progress: Progress) -> None:
        if math.isfinite(progress.value):
            found.set()

    asked = replace(wanted, objective="total", on_progress=on_progress, stop=found.is_set)
    return find_plan(profiles, fleet, asked)


def outcome(case: Case, bench: Bench) -> Outcome:
    """One case, planned and measured."""
    profiles = bench.profiles[case.training]
    first = next(iter(profiles.values()))
    said = {
        "name": case.name,
        "changes": case.changes,
        "notes": case.situation.notes,
        "model": first.model,
        "batches": tuple(case.situation.fleet.policy.batches or (first.settings.batch,)),
    }
    fleet = case.situation.fleet
    try:
        plan = bench.plan(case.situation)
    except FlexpError as error:
        return Outcome(**said, status="unknown", why=(error.message,))
    if isinstance(plan, NoPlan):
        return Outcome(**said, status="infeasible", why=reasons(profiles, fleet, plan.stuck))
    last = plan.objectives[-1]
    return Outcome(
        **said,
        status="optimal" if last.status == "optimal" else "feasible",
        gap=last.gap,
        why=(bottleneck(plan),),
        figures=figures_of(plan, fleet, case.situation.hours_per_day),
        classes=classes_of(plan),
    )


def bottleneck(plan: Plan) -> str:
    """Who is the slowest, and with what: "emil-laptop: 9.8 of 10.4 s a step on the wire"."""
    if not plan.clients:
        return "no client takes part"
    entry = next(c for c in plan.clients if plan.bottleneck in c.members)
    predicted = entry.predicted
    parts = {
        "on the device": predicted.device_seconds,
        "on the wire": predicted.wire_seconds,
        "of server work": predicted.server_seconds,
        "of waiting": predicted.wait_seconds,
    }
    what = max(parts, key=lambda name: parts[name])
    return (
        f"slowest: {plan.bottleneck}, {parts[what]:.3g} of {predicted.step_seconds:.3g} s a step "
        f"{what}"
    )


def evaluate(
    cases: Sequence[Case],
    bench: Bench,
    on_done: Callable[[int], None] = lambda done: None,
) -> list[Outcome]:
    """The outcomes, in order; equal situations are planned once. `on_done` hears how many are
    finished."""
    first: dict[tuple[ResolvedFleet, Training, float], int] = {}
    same = [
        first.setdefault((c.situation.fleet, c.training, c.situation.hours_per_day), index)
        for index, c in enumerate(cases)
    ]
    distinct = sorted(set(same))
    if bench.workers == 1 or len(distinct) <= FEW:
        found = {}
        for done, index in enumerate(distinct, start=1):
            found[index] = outcome(cases[index], bench)
            on_done(done)
    else:
        found = _in_processes([(i, cases[i]) for i in distinct], bench, on_done)
    return [
        found[like].model_copy(
            update={"name": case.name, "changes": case.changes, "notes": case.situation.notes}
        )
        for case, like in zip(cases, same, strict=True)
    ]


def _in_processes(
    cases: Sequence[tuple[int, Case]], bench: Bench, on_done: Callable[[int], None]
) -> dict[int, Outcome]:
    bench = replace(bench, wanted=replace(bench.wanted, on_progress=None, stop=None))
    pool = ProcessPoolExecutor(
        min(bench.workers, len(cases)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,  # Ctrl-C is the parent's to handle
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        waiting: dict[Future[Outcome], int] = {
            pool.submit(outcome, case, bench): index for index, case in cases
        }
        found: dict[int, Outcome] = {}
        left = set(waiting)
        while left:
            done, left = wait(left, return_when=FIRST_COMPLETED)
            for future in done:
                found[waiting[future]] = future.result()
            on_done(len(found))
        return found
    finally:
        pool.shutdown(cancel_futures=True)


def compared(
    baseline: Outcome,
    scenarios: Sequence[Outcome],
    fleet: ResolvedFleet,
    blocks: int,
    objective: str,
    assumptions: Sequence[str],
) -> WhatIf:
    """Baseline, scenarios and what differs."""
    return WhatIf(
        fleet=fleet.name,
        objective=objective,
        blocks=blocks,
        assumptions=tuple(assumptions),
        baseline=baseline,
        scenarios=tuple(
            one.model_copy(update={"difference": difference(baseline.figures, one.figures)})
            for one in scenarios
        ),
    )
