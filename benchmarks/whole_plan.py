"""Whole plans of generated fleets, profile to checked plan, and a naive program beside them.

    python benchmarks/whole_plan.py                                100 and 1,000 distinct clients
    python benchmarks/whole_plan.py --clients 10000 100000 --only flexp
    python benchmarks/whole_plan.py --clients 1000 --members 1000000 --only flexp

smollm2-360m (32 blocks) is split at any depth with three codecs among the devices of planner.py, on
one server that the plan fills: its queue, its link and its memory are shared. flexp searches over
the queue and proves its plan; the time holds building, search, proof and the independent check.
The naive program is told flexp's queue and link, which leaves it linear: one variable an option, in
PuLP, as benchmarks/planner.py builds it. Seconds are those of the processor, of all threads
together, and, of flexp, those on the clock: its passes over a large fleet use several threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from flexp.catalog.device import Device, Link
from flexp.planner.fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from flexp.planner.in_order import choose
from flexp.planner.objective import parse_objective
from flexp.planner.solve import Wanted, make_plan, prepare
from flexp.planner.solver.clock import Clock
from flexp.planner.value import DEFAULT_CURVE
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import Profile, ProfileSettings

from planner import Stopwatch, devices, peak_memory_bytes, pulp_model

MODEL, SETTINGS = "smollm2-360m", ProfileSettings(batch=8, length=128)
GB, MIB = 10**9, 2**20
SOURCE = "generated"
PEERS = ("highs", "cbc")


def fleet_of(entries: int, members: int, load: float, seed: int) -> ResolvedFleet:
    """`members` devices in `entries` classes; the server has `load` TFLOP/s for each device."""
    each = members // entries
    clients = []
    for number, (speed, up, down, trip, memory) in enumerate(devices(entries, seed).tolist()):
        usable = int(max(memory, 2.5) * GB)
        device = Device(
            name="device",
            ram_bytes=2 * usable,
            usable_memory_bytes=usable,
            runtime_bytes=400 * MIB,
            training_flops_per_second=speed * 1e12,
            source=SOURCE,
        )
        link = link_of("wire", up, down, trip)
        clients.append(
            ResolvedClient(name=f"c{number:06d}", count=each, device=device, link=link, min_depth=1)
        )
    total = each * entries
    rack = Device(
        name="rack",
        ram_bytes=8 * total * GB,
        usable_memory_bytes=3 * total * GB,
        runtime_bytes=1024 * MIB,
        training_flops_per_second=load * total * 1e12,
        source=SOURCE,
    )
    server = ResolvedServer(device=rack, link=link_of("fibre", 100 * total, 100 * total, 1))
    policy = Policy(server_utilisation=0.8, codecs=("fp32", "bf16", "int8"))
    return ResolvedFleet(name="generated", servers=(server,), clients=tuple(clients), policy=policy)


def link_of(name: str, up: float, down: float, trip: float) -> Link:
    """Rates in Mbit/s, the round trip in milliseconds."""
    return Link(
        name=name,
        up_bits_per_second=up * 1e6,
        down_bits_per_second=down * 1e6,
        rtt_seconds=trip / 1e3,
        source=SOURCE,
    )


def flexp(profile: Profile, fleet: ResolvedFleet, ask: Any) -> dict[str, Any]:
    watch, begin = Stopwatch(), time.perf_counter()
    wanted = Wanted(objective=ask.objective[0], time_limit_seconds=ask.limit)
    plan = make_plan({profile.settings.batch: profile}, fleet, wanted)
    (found,) = plan.objectives
    return {
        "value": found.value,
        "bound": found.bound,
        "seconds": watch.read(),
        "clock": time.perf_counter() - begin,
        "load": plan.servers[0].utilisation,
    }


def peer(profile: Profile, fleet: ResolvedFleet, ask: Any) -> dict[str, Any]:
    task = prepare({profile.settings.batch: profile}, fleet)
    objectives = parse_objective(ask.objective[0])
    program = task.builder(objectives, DEFAULT_CURVE).build()
    choice = choose(program, objectives, 0.0, Clock(ask.limit))
    problem = choice.program.at(choice.level)  # type: ignore[union-attr]
    flat = {
        "cost": problem.cost,
        "seconds": choice.program.round_seconds(choice.level),  # type: ignore[union-attr]
        "weights": problem.weights,
        "starts": problem.offsets,
        "counts": problem.counts,
        "caps": problem.caps,
    }
    x, bound, times = pulp_model(
        flat, SimpleNamespace(one=ask.one, objective=ask.objective, limit=ask.limit)
    )
    total = ask.objective == ["total"]
    value = None
    if x is not None:
        value = flat["cost"] @ x if total else flat["seconds"][np.asarray(x) > 0].max()
    return {"value": value, "bound": bound, "seconds": sum(times.values())}


def run_one(ask: Any) -> None:
    """One method on one fleet, its result as a line of JSON."""
    profile = cached_profile(MODEL, SETTINGS)
    entries = ask.clients[0]
    fleet = fleet_of(entries, max(ask.members, entries), ask.load, ask.seed)
    result = (flexp if ask.one == "flexp" else peer)(profile, fleet, ask)
    result["peak"] = peak_memory_bytes()
    print("\n" + json.dumps({k: v if v is None else float(v) for k, v in result.items()}))


def line_of(name: str, result: dict[str, Any]) -> str:
    value, bound = result["value"], result["bound"]
    known = value is not None and bound is not None
    gap = f"{max(0.0, value - bound) / value:.1e}" if known else "-"
    numbers = ["-" if n is None else f"{n:.6g}" for n in (value, bound)]
    clock, load = (f"{result[key]:.2f}" if key in result else "-" for key in ("clock", "load"))
    return (
        f"| {name} | {numbers[0]} | {numbers[1]} | {gap} | {result['seconds']:.2f} | {clock} "
        f"| {load} | {result['peak'] / MIB:.0f} MiB |"
    )


def main() -> None:
    methods = ("flexp", *PEERS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--members", type=int, default=0, help="devices, in equal classes")
    parser.add_argument("--objective", nargs="+", default=["total", "slowest"])
    parser.add_argument("--only", nargs="+", choices=methods, default=list(methods))
    parser.add_argument("--load", type=float, default=3.0, help="TFLOP/s of the server a device")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", choices=methods, help=argparse.SUPPRESS)
    ask = parser.parse_args()
    if ask.one:
        run_one(ask)
        return
    columns = ("value", "bound", "gap", "processor s", "clock s", "load", "memory")
    print(f"| clients, objective, method | {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|---|")
    for clients in ask.clients:
        for objective in ask.objective:
            for method in ask.only:
                name = f"{max(ask.members, clients):,}, {objective}, {method}"
                command = [sys.executable, str(Path(__file__)), "--one", method]
                for option in ("members", "load", "limit", "seed"):
                    command += [f"--{option}", str(getattr(ask, option))]
                command += ["--clients", str(clients), "--objective", objective]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
                else:
                    print(line_of(name, json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()
