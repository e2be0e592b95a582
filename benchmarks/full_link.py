"""Plans of small fleets whose server's link is nearly full, to the border where none exists.

    python benchmarks/full_link.py                     the table of docs/benchmarks.md
    python benchmarks/full_link.py --fleet gpt2,20,8,1242 --objective slowest

Distinct devices of planner.py; each row gives a model, clients, the server's TFLOP/s and the rate
of its link in Mbit/s, which may be 60% full. Seconds are those of the processor, in one thread, of
search and proof from the profile in memory; boxes are those of levels and links' uses that are
bounded, programs the integer programs that are solved.
"""

from __future__ import annotations

import argparse
import time
from unittest import mock

from flexp.errors import FlexpError
from flexp.planner.branching import Branching
from flexp.planner.fleet import Policy, ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.planner.solver.core import Core
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import ProfileSettings
from whole_plan import fleet_of, link_of

FLEETS = (
    *("minilm-l6,20,8,3500", "minilm-l6,20,8,2000", "minilm-l6,50,20,6000"),
    *("minilm-l6,50,20,4100", "minilm-l6,50,20,4035", "minilm-l6,50,20,4030"),
    *("gpt2,20,8,6000", "gpt2,20,8,2000", "gpt2,20,8,1414", "gpt2,20,8,1242"),
    *("gpt2,50,20,6000", "gpt2,50,8,3500", "gpt2,50,20,3500", "gpt2,50,20,3445"),
)


def small_fleet(clients: int, tflops: float, mbit: float, seed: int) -> ResolvedFleet:
    fleet = fleet_of(clients, clients, tflops / clients, seed)
    server = fleet.servers[0].model_copy(update={"link": link_of("fibre", mbit, mbit, 1)})
    return fleet.model_copy(update={"servers": (server,), "policy": Policy()})


def measure(model: str, fleet: ResolvedFleet, objective: str, limit: float) -> str:
    profile = cached_profile(model, ProfileSettings())
    wanted = Wanted(objective=objective, time_limit_seconds=limit)
    counts = {"boxes": 0, "programs": 0}
    add, solve = Branching._add, Core.solve

    def added(*given: object) -> None:
        counts["boxes"] += 1
        add(*given)  # type: ignore[arg-type]

    def solved(*given: object, **options: object) -> object:
        counts["programs"] += 1
        return solve(*given, **options)  # type: ignore[arg-type]

    begin = time.process_time()
    with mock.patch.object(Branching, "_add", added), mock.patch.object(Core, "solve", solved):
        try:
            found = find_plan({profile.settings.batch: profile}, fleet, wanted)
        except FlexpError as error:
            outcome = f"- | {error} | -"
        else:
            if isinstance(found, NoPlan):
                outcome = "- | proven: no plan | -"
            else:
                (result,) = found.objectives
                outcome = f"{result.value:.6g} | {result.status} | {result.gap:.1e}"
                outcome += f", link {found.servers[0].link_utilisation:.0%}"
    seconds = time.process_time() - begin
    return f"{outcome} | {seconds:.2f} | {counts['boxes']} | {counts['programs']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fleet", nargs="+", default=list(FLEETS))
    parser.add_argument("--objective", nargs="+", default=["total"])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each")
    parser.add_argument("--seed", type=int, default=0)
    ask = parser.parse_args()
    print("| fleet, objective | value | status | gap | seconds | boxes | programs |")
    print("|---|---|---|---|---|---|---|")
    for name in ask.fleet:
        model, clients, tflops, mbit = name.split(",")
        fleet = small_fleet(int(clients), float(tflops), float(mbit), ask.seed)
        for objective in ask.objective:
            row = measure(model, fleet, objective, ask.limit)
            print(f"| {name.replace(',', ', ')}, {objective} | {row} |", flush=True)


if __name__ == "__main__":
    main()
