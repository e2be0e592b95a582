"""What one slow client costs the others, on the fleet's clock: steps an hour, by algorithm.

    python benchmarks/straggler.py                              examples/office-8.yaml, seconds
    python benchmarks/straggler.py FLEET.yaml --slow NAME --factor 20

The client's device and link become `factor` times slower for the whole hour. Nothing is trained:
what happens when does not depend on the numbers. `lost` is the share of the other clients' steps
that they no longer get to, for all of them and for the one that loses most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flexp.cli.plan_profiles import profiles_of
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.resolve import read_fleet
from flexp.planner.solve import make_plan
from flexp.profiler.profile import Profile
from flexp.runtime.algorithms.algorithm import Algorithm, Options
from flexp.runtime.algorithms.registry import make_algorithm
from flexp.runtime.comparison.cell import Cell, DataOrder
from flexp.runtime.comparison.costs import transfer_seconds
from flexp.runtime.comparison.prepare import costs_of, spans_of
from flexp.runtime.comparison.study import members_of
from flexp.runtime.fleet_clock import Course, steps_until
from flexp.runtime.scenario import Scenario, Slow

HOUR = 3600.0
ENDLESS = 10**6
"""Steps that nobody gets to the end of."""
NAMES = ("flexp-sfl", "local", "splitfed-v1", "splitfed-v2", "fedavg")


def courses(cell: Cell, algorithm: Algorithm, round_steps: int) -> dict[str, Course]:
    """As `flexp compare` has them, for any number of steps."""
    spans = spans_of(cell, algorithm)
    found = {}
    for name, cost in costs_of(cell, algorithm, spans).items():
        barriers = range(round_steps - 1, ENDLESS, round_steps) if algorithm.averaged else ()
        units = cell.profile.units
        kept = [unit for n, unit in enumerate(units) if n - 1 not in spans[name]]
        send, receive = transfer_seconds(
            sum(unit.trainable_bytes for unit in kept), cell.members[name], cell.server
        )
        found[name] = Course(
            times=cost.times,
            steps=ENDLESS,
            barriers=frozenset(barriers),
            send_seconds=send,
            receive_seconds=receive,
        )
    return found


def cell_of(fleet: ResolvedFleet, plan: Plan, profile: Profile) -> Cell:
    return Cell(
        algorithm="flexp-sfl",
        options=Options(),
        seed=0,
        data=DataOrder(name="none", hash=""),
        profile=profile,
        members=members_of(plan, fleet),
        server=fleet.server,
        steps=1,
        evaluate_every=1,
        model=profile.model,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fleet", nargs="?", type=Path, default=Path("examples/office-8.yaml"))
    parser.add_argument("--model", default="minilm-l6")
    parser.add_argument("--length", type=int, default=48)
    parser.add_argument("--slow", help="the client; if not given, the plan's bottleneck")
    parser.add_argument("--factor", type=float, default=20.0)
    parser.add_argument("--round-steps", type=int, default=4)
    asked = parser.parse_args()
    profiles = profiles_of([], asked.model, {"length": asked.length}, ())
    fleet = read_fleet(asked.fleet)
    plan = make_plan(profiles, fleet)
    cell = cell_of(fleet, plan, next(iter(profiles.values())))
    slow = asked.slow or plan.bottleneck
    bad_day = Scenario(slow=(Slow(client=slow, device=asked.factor, link=asked.factor),))
    print(f"{slow} is {asked.factor:g} times slower; steps an hour of the other clients")
    print(f"{'':14} {'before':>8} {'after':>8} {'lost':>7} {'most lost':>10}")
    for name in NAMES:
        own = courses(cell, make_algorithm(name, cell.options), asked.round_steps)
        before, after = (
            steps_until(own, scenario, HOUR, cell.server.accelerators)
            for scenario in (Scenario(), bad_day)
        )
        others = [client for client in own if client != slow]
        totals = [sum(steps[client] for client in others) for steps in (before, after)]
        most = max(1 - after[client] / before[client] for client in others)
        lost = 1 - totals[1] / totals[0]
        print(f"{name:14} {totals[0]:8} {totals[1]:8} {lost:7.1%} {most:10.1%}")


if __name__ == "__main__":
    main()
