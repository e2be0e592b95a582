"""Plans of small generated fleets with two kinds of server, both about full.

    python benchmarks/two_servers.py                               30 clients, 3 seeds, 10 s each
    python benchmarks/two_servers.py --clients 6 30 --limit 60

The fleets are those of whole_plan.py, with a second server that is faster or slower by `speed`. Who
goes to which server is open, and how long each queue is depends on it: the hardest of the plans
here. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import itertools
import time

from flexp.errors import FlexpError
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import Profile
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


def outcome(profiles: dict[int, Profile], fleet: ResolvedFleet, asked: Wanted) -> str:
    """Value, gap and how full the servers are, as cells of the table."""
    try:
        found = find_plan(profiles, fleet, asked)
    except FlexpError as error:
        return f"{error.message} | | |"
    if isinstance(found, NoPlan):
        return "no plan, proven | | |"
    (result,) = found.objectives
    full = ", ".join(f"{server.utilisation:.0%}" for server in found.servers)
    return f"{result.value:.6g} | {result.gap:.1e} | {full} |"


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
    plans = itertools.product(wanted.clients, range(wanted.seeds), CASES, wanted.objective)
    for clients, seed, (load, speed), objective in plans:
        fleet = two_servers(clients, load, speed, seed)
        asked = Wanted(objective=objective, time_limit_seconds=wanted.limit)
        begun = time.process_time()
        said = outcome({profile.settings.batch: profile}, fleet, asked)
        seconds = time.process_time() - begun
        what = f"{clients}, {seed}, {load:g}, {speed:g}"
        print(f"| {what} | {objective} | {said} {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
