"""Plans of the example fleets beside their simulation: does what `flexp plan` promises hold?

    python benchmarks/rehearsal.py                 8 to 1,000 clients at a load of 0.8, a minute
    python benchmarks/rehearsal.py --loads 0.3 0.8 0.9 --steps 400

The fleets are examples/office-8.yaml, factory-200.yaml (also a tenth of it) and a tenth of
field-10000.yaml on one server. `--loads` is the policy's server_utilisation; the server's speed is
lowered by as much as the policy allows more of it, so that the plan fills it. Every client of the
plan is simulated event by event (planner/rehearse.py). Columns: how full the fullest server's
compute is in the plan, and predicted over simulated, less 1, in percent, of the client that is the
furthest off: mean, median and 95th percentile of its step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from flexp.cli.plan_profiles import profiles_of
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.rehearse import rehearse
from flexp.planner.resolve import read_fleet
from flexp.planner.solve import Wanted, make_plan

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TIME_LIMIT_SECONDS = 20.0


def fleets() -> Iterator[ResolvedFleet]:
    yield read_fleet(EXAMPLES / "office-8.yaml")
    factory = read_fleet(EXAMPLES / "factory-200.yaml")
    yield scaled(factory, 10)
    yield factory
    yield scaled(read_fleet(EXAMPLES / "field-10000.yaml"), 10)


def scaled(fleet: ResolvedFleet, part: int) -> ResolvedFleet:
    """One of `part` clients of each class, and as much less of one server."""
    clients = tuple(
        client.model_copy(update={"count": max(1, client.count // part)})
        for client in fleet.clients
    )
    server, members = fleet.server, sum(client.count for client in clients)
    share = members / fleet.members * sum(one.count for one in fleet.servers)
    return with_speed(
        fleet.model_copy(
            update={"clients": clients, "servers": (server.model_copy(update={"count": 1}),)}
        ),
        share,
    )


def with_speed(fleet: ResolvedFleet, factor: float) -> ResolvedFleet:
    servers = []
    for server in fleet.servers:
        speed = server.device.training_flops_per_second * factor
        device = server.device.model_copy(update={"training_flops_per_second": speed})
        servers.append(server.model_copy(update={"device": device}))
    return fleet.model_copy(update={"servers": tuple(servers)})


def loaded(fleet: ResolvedFleet, load: float) -> ResolvedFleet:
    policy = fleet.policy
    slower = with_speed(fleet, policy.server_utilisation / load)
    use = {"server_utilisation": load}
    return slower.model_copy(update={"policy": policy.model_copy(update=use)})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.8])
    parser.add_argument("--steps", type=int, default=200, help="of each client, on average")
    parser.add_argument("--model", default="minilm-l6")
    ask = parser.parse_args()
    print(
        f"{'clients':>8} {'load':>5} {'full':>5} {'mean':>6} {'p50':>6} {'p95':>6} {'seconds':>8}"
    )
    for fleet in fleets():
        profiles = profiles_of([], ask.model, {}, fleet.policy.batches)
        for load in ask.loads:
            begin, made = time.perf_counter(), loaded(fleet, load)
            plan = make_plan(profiles, made, Wanted(time_limit_seconds=TIME_LIMIT_SECONDS))
            seen = rehearse(plan, profiles, made, steps=ask.steps)
            errors = [
                100 * max(one, key=abs) for one in zip(*(r.errors for r in seen), strict=True)
            ]
            full = max(server.utilisation for server in plan.servers)
            text = " ".join(f"{error:6.1f}" for error in errors)
            seconds = time.perf_counter() - begin
            print(f"{plan.devices:8,} {load:5.2f} {full:5.2f} {text} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
