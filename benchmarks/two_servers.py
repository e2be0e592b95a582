"""Plans of small generated fleets with two kinds of server, both about full.

    python benchmarks/two_servers.py                               30 clients, 3 seeds, 10 s each
    python benchmarks/two_servers.py --clients 6 30 --limit 60

The fleets are those of whole_plan.py, with a second server that is faster or slower by `speed`. Who
goes to which server is open, and how long each queue is depends on it: the hardest of the plans
here. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import time

from flexp.errors import FlexpError
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.profiler.cache import cached_profile
from whole_plan import MODEL, SETTINGS, fleet_of

CASES = ((0.1, 0.5), (0.3, 2.0), (1.0, 0.3))
"""TFLOP/s of the first server for each device, and the second one's speed over the first one's."""


def two_servers(clients: int, load: float, speed: float, seed: int) -> ResolvedFleet:
    fleet = fleet_of(clients, clients, load, seed)
    (first,) = fleet.servers
    rate = speed * first.device.training_flops_per_second
    device = first.device.model_copy(update={"training_flops_per_second": rate})
    second = first.model_copy(update={"name": "second", "device": device})
    return fleet.model_copy(update={"servers": (first, second)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[30])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--objective", nargs="+", default=["total", "slowest", "value"])
    parser.add_argument("--limit", type=float, default=10.0, help="Seconds of the clock.")
    wanted = parser.parse_args()
    profile = cached_profile(MODEL, SETTINGS)
    print("| clients, seed, load, speed | objective | value | gap | servers | seconds |")
    print("|---|---|---|---|---|---|")
    for clients in wanted.clients:
        for seed in range(wanted.seeds):
            for load, speed in CASES:
                fleet = two_servers(clients, load, speed, seed)
                for objective in wanted.objective:
                    asked = Wanted(objective=objective, time_limit_seconds=wanted.limit)
                    begun = time.process_time()
                    try:
                        found = find_plan({profile.settings.batch: profile}, fleet, asked)
                    except FlexpError as error:
                        said = f"{error.message} | | |"
                    else:
                        said = "no plan, proven | | |"
                        if not isinstance(found, NoPlan):
                            (result,) = found.objectives
                            full = ", ".join(f"{s.utilisation:.0%}" for s in found.servers)
                            said = f"{result.value:.6g} | {result.gap:.1e} | {full} |"
                    seconds = time.process_time() - begun
                    what = f"{clients}, {seed}, {load:g}, {speed:g}"
                    print(f"| {what} | {objective} | {said} {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
