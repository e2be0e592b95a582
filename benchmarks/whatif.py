"""Scenarios a minute: sweeps over a fleet of a thousand devices, planned on all cores.

    python benchmarks/whatif.py                       the example field-10000, a tenth of it
    python benchmarks/whatif.py --distinct            every device of a speed of its own
    python benchmarks/whatif.py --scenarios 400 --jobs 1

The profile is made once and shared; the clock begins before the processes start. CPU seconds are
those of all processes, which a busy machine changes little. Scenarios are
wireless rates, speeds, memory and servers by random factors, so that no two are equal.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections import Counter
from pathlib import Path

from flexp.cli.whatif_run import cores
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.resolve import read_fleet, read_lookups
from flexp.planner.solve import Wanted
from flexp.planner.whatif.evaluate import Bench, Case, evaluate
from flexp.planner.whatif.scenario import Asked, Scenario, apply
from flexp.planner.whatif.situation import Names, Situation
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import ProfileSettings

FLEET = Path(__file__).parent.parent / "examples" / "field-10000.yaml"
SHARE = 10
TARGETS = ("links.field-sim.up", "links.depot-wifi.up", "rugged-tablet.speed", "van*.speed")


def tenth(fleet: ResolvedFleet) -> ResolvedFleet:
    """A thousand devices in eight classes, on one server."""
    clients = tuple(c.model_copy(update={"count": c.count // SHARE}) for c in fleet.clients)
    server = fleet.server.model_copy(update={"count": 1})
    return fleet.model_copy(update={"clients": clients, "servers": (server,)})


def distinct(fleet: ResolvedFleet, seed: int) -> ResolvedFleet:
    """Every member an entry of its own, with speeds that differ by about 30%."""
    rng = random.Random(seed)
    clients = []
    for client in fleet.clients:
        for number in range(client.count):
            speed = client.device.training_flops_per_second * rng.lognormvariate(0, 0.3)
            device = client.device.model_copy(update={"training_flops_per_second": speed})
            update = {"count": 1, "name": f"{client.name}.{number}", "device": device}
            clients.append(client.model_copy(update=update))
    return fleet.model_copy(update={"clients": tuple(clients)})


def cases(fleet: ResolvedFleet, count: int, seed: int) -> list[Case]:
    rng = random.Random(seed)
    names, start = Names(*read_lookups(FLEET), FLEET.parent), Situation(fleet)
    found = []
    for number in range(count):
        changes = {target: f"x{rng.uniform(0.5, 2):.4f}" for target in rng.sample(TARGETS, 2)}
        changes["server.memory"] = f"x{rng.uniform(0.3, 2):.4f}"
        scenario = Scenario(name=str(number), set=changes)
        found.append(Case(scenario.name, apply(Asked(scenario), start, names)))
    return found


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenarios", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--distinct", action="store_true")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds for each scenario")
    parser.add_argument("--seed", type=int, default=1)
    ask = parser.parse_args()
    fleet = tenth(read_fleet(FLEET))
    fleet = distinct(fleet, ask.seed) if ask.distinct else fleet
    settings = ProfileSettings()
    profiles = {
        size: cached_profile("minilm-l6", settings.model_copy(update={"batch": size}))
        for size in dict.fromkeys((settings.batch, *fleet.policy.batches))
    }
    bench = Bench({(None, None): profiles}, Wanted(time_limit_seconds=ask.limit), ask.jobs)
    wanted = cases(fleet, ask.scenarios, ask.seed)
    begin, used = time.monotonic(), cpu_seconds()
    found = evaluate(wanted, bench)
    seconds, used = time.monotonic() - begin, cpu_seconds() - used
    statuses = Counter(one.status for one in found)
    gap = max((one.gap for one in found if one.gap is not None), default=0.0)
    print(
        f"{fleet.members:,} devices in {len(fleet.clients):,} entries, {ask.jobs} processes: "
        f"{len(found)} scenarios in {seconds:.1f} s, {60 * len(found) / seconds:.0f} a minute; "
        f"{used / len(found):.2f} CPU seconds each; "
        f"{dict(statuses)}, largest gap {gap:.1e}"
    )


if __name__ == "__main__":
    main()
