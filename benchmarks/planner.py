"""Plans of generated fleets: flexp's exact core beside general solvers on the same numbers.

    python benchmarks/planner.py                                   100 and 1,000 clients, a minute
    python benchmarks/planner.py --clients 10000 --limit 60        the peers get a minute each
    python benchmarks/planner.py --clients 100000 --only flexp --objective total slowest
    python benchmarks/planner.py --classes 1000                    a million in 1,000 classes

A 32-block transformer (width 4096, LoRA) is split among phones, boards, laptops and workstations of
lognormal speeds and links, at any depth with three codecs (fp32, bf16, int8; the coarser ones cost
a share of the step). Four rows are shared: the server's memory and compute, its link up and down.

Every run is a process of its own with one thread a solver. `building` holds what turns the arrays
of all options into a model; peers get the model as their users write it, one variable an option.
`value` is recomputed from the choice with numpy, which must keep all rows to 1e-6. OR-tools is
optional.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import math
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ROWS = ("C4_server_memory", "C5_server_compute", "C6_server_link_up", "C6_server_link_down")
BLOCKS, WIDTH, TOKENS = 32, 4096, 4 * 256
SERVER_FLOPS = 4e14
KINDS = np.array(
    [  # share of the fleet, TFLOP/s, up Mbit/s, down Mbit/s, round trip ms, memory GB
        (0.14, 0.15, 8, 30, 45, 2.5),
        (0.20, 0.5, 20, 60, 35, 4),
        (0.12, 1.2, 40, 120, 30, 8),
        (0.16, 0.8, 60, 150, 20, 6),
        (0.14, 1.5, 80, 200, 12, 12),
        (0.08, 8, 80, 200, 12, 14),
        (0.06, 10, 100, 100, 8, 28),
        (0.07, 25, 300, 500, 5, 22),
        (0.03, 60, 900, 900, 2, 46),
    ]
)
CODECS = ((4.0, 0.0), (2.0, 0.02), (1.0, 0.15))
"""Bytes of an element, and the share of a step by which the codec's loss is priced."""
TIGHTNESS = {"total": 0.4, "slowest": 0.02}
"""How much of what the fleet would like beyond its least need the server's memory offers; the
other rows offer about a third of that, so that several are scarce at once."""
CHUNK = 1000
PEERS = ("cbc", "highs", "cp-sat")


def devices(clients: int, seed: int) -> np.ndarray:
    """float64[clients, 5]: TFLOP/s, up, down, round trip, memory."""
    random = np.random.default_rng(seed)
    kind = random.choice(len(KINDS), clients, p=KINDS[:, 0] / KINDS[:, 0].sum())
    return KINDS[kind, 1:] * np.exp(0.35 * random.standard_normal((clients, 5)).clip(-2, 2))


def options(fleet: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """cost [n, O], seconds [n, O], weights [R, n, O], allowed [n, O]; deepest options first."""
    depth = np.repeat(np.arange(BLOCKS, 0, -1), len(CODECS))
    element, price = (np.tile([c[k] for c in CODECS], BLOCKS) for k in (0, 1))
    remote = depth < BLOCKS
    parameters = 12 * WIDTH**2
    flops = 2.1 * (2 * parameters * TOKENS + 4 * 256 * WIDTH * TOKENS)
    saved, adapters = 17.0 * TOKENS * WIDTH, 8 * WIDTH * 16 * 16
    speed, up, down, round_trip, memory = fleet.T[:, :, None]
    bits = np.where(remote, 16 * TOKENS * WIDTH * element, 0.0)
    server = (BLOCKS - depth) * flops / SERVER_FLOPS
    wire = bits / 1e6 / up + bits / 1e6 / down + remote * 2e-3 * round_trip
    seconds = depth * flops / 1e12 / speed + wire + server
    need = (depth * (0.55 * parameters + adapters + saved / 4)) / 1e9 + 0.3
    allowed = need <= memory
    allowed[:, -len(CODECS) :] = True  # everyone can hold one block
    weights = np.empty((4, *seconds.shape))
    weights[0] = np.round((BLOCKS - depth) * (adapters + saved))
    weights[1] = server / seconds
    weights[2] = bits / seconds
    weights[3] = (bits + remote * 32 * TOKENS) / seconds
    return seconds * (1 + price * remote), seconds, weights, allowed


def caps_for(fleet: np.ndarray, counts: np.ndarray, tightness: float) -> np.ndarray:
    least, wanted = np.zeros(4), np.zeros(4)
    for part in chunks(len(fleet)):
        cost, _, weights, allowed = options(fleet[part])
        best = np.where(allowed, cost, np.inf).argmin(axis=1)
        wanted += (weights[:, np.arange(len(best)), best] * counts[part]).sum(axis=1)
        least += (np.where(allowed, weights, np.inf).min(axis=2) * counts[part]).sum(axis=1)
    return least + tightness * np.array([1, 0.33, 0.3, 0.35]) * (wanted - least)


def chunks(clients: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, clients, CHUNK)]


def flexp(fleet: np.ndarray, counts: np.ndarray, caps: np.ndarray, ask: Any) -> dict[str, Any]:
    from flexp.planner.solver.aggregate import Block, aggregate
    from flexp.planner.solver.slowest import Slowest, minimise_slowest
    from flexp.planner.solver.solve import Solution, minimise

    begin = Stopwatch()

    def blocks() -> Any:
        for part in chunks(len(fleet)):
            with begin.pause():
                cost, seconds, weights, allowed = options(fleet[part])
            yield Block(cost, weights, allowed, counts[part], seconds[None])

    problem, origin = aggregate(blocks(), caps, ROWS)
    building = begin.read()
    solving = Stopwatch()
    if ask.objective == ["total"]:
        found = minimise(problem, ask.limit)
        assert isinstance(found, Solution)
        value, bound, x = found.value, found.bound, found.counts
    else:
        best = minimise_slowest(problem, origin.measures[0], ask.limit)
        assert isinstance(best, Slowest)
        value, bound, x = best.seconds, best.bound, best.solution.counts
    assert (problem.weights @ x <= caps * (1 + 1e-6)).all()
    return {
        "value": value,
        "bound": bound,
        "building": building,
        "solving": solving.read(),
        "columns": problem.columns,
    }


def peer(fleet: np.ndarray, counts: np.ndarray, caps: np.ndarray, ask: Any) -> dict[str, Any]:
    parts = [options(fleet[part]) for part in chunks(len(fleet))]
    cost, seconds, allowed = (np.concatenate([p[k] for p in parts]) for k in (0, 1, 3))
    weights = np.concatenate([p[2] for p in parts], axis=1)
    client, option = np.nonzero(allowed)
    starts = np.searchsorted(client, np.arange(len(fleet) + 1))
    flat = {
        "cost": cost[client, option],
        "seconds": seconds[client, option],
        "weights": weights[:, client, option],
        "starts": starts,
        "counts": counts,
        "caps": caps,
    }
    solve = cp_sat if ask.one == "cp-sat" else pulp_model
    x, bound, times = solve(flat, ask)
    result: dict[str, Any] = {"bound": bound, **times, "columns": len(client)}
    if x is not None:
        placed = np.add.reduceat(x, starts[:-1])
        kept = (flat["weights"] @ x <= caps * (1 + 1e-6)).all()
        assert kept and (placed == counts).all(), "the solver's choice breaks a row"
        total = ask.objective == ["total"]
        result["value"] = flat["cost"] @ x if total else flat["seconds"][x > 0].max()
    return result


def pulp_model(flat: dict[str, Any], ask: Any) -> tuple[Any, float | None, dict[str, float]]:
    import pulp

    building = Stopwatch()
    groups = list(itertools.pairwise(flat["starts"].tolist()))
    model = pulp.LpProblem("naive", pulp.LpMinimize)
    x = [
        model.add_variable(f"x_{o}", 0, int(count), pulp.LpInteger)
        for (first, last), count in zip(groups, flat["counts"], strict=True)
        for o in range(first, last)
    ]
    slowest = None
    if ask.objective == ["total"]:
        model += pulp.lpSum(c * v for c, v in zip(flat["cost"].tolist(), x, strict=True))
    else:
        slowest = model.add_variable("slowest", 0)
        model += slowest
    seconds = flat["seconds"].tolist()
    for (first, last), count in zip(groups, flat["counts"].tolist(), strict=True):
        model += pulp.lpSum(x[first:last]) == count
        if slowest is not None:
            model += pulp.lpSum(seconds[o] * x[o] for o in range(first, last)) <= slowest
    for row, cap in zip(flat["weights"], flat["caps"].tolist(), strict=True):
        model += pulp.lpSum(w * v for w, v in zip(row.tolist(), x, strict=True)) <= cap
    built, solving = building.read(), Stopwatch()
    settings = {"msg": False, "timeLimit": ask.limit, "gapRel": 1e-6}
    solver = pulp.HiGHS(**settings) if ask.one == "highs" else pulp.PULP_CBC_CMD(**settings)
    model.solve(solver)
    times = {"building": built, "solving": solving.read()}
    bound = None
    if ask.one == "highs":
        bound = model.solverModel.getInfo().mip_dual_bound
    elif model.sol_status == pulp.LpSolutionOptimal:
        bound = pulp.value(model.objective) * (1 - 1e-6)
    if model.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return None, bound, times
    return np.array([round(v.varValue or 0) for v in x]), bound, times


def cp_sat(flat: dict[str, Any], ask: Any) -> tuple[Any, float | None, dict[str, float]]:
    """Needs whole numbers: costs in units of 1e-4, weights rounded up to 1e-9 of the cap."""
    from ortools.sat.python import cp_model

    building = Stopwatch()
    model = cp_model.CpModel()
    groups = list(itertools.pairwise(flat["starts"].tolist()))
    x = [
        model.new_int_var(0, int(count), "")
        for (first, last), count in zip(groups, flat["counts"], strict=True)
        for _ in range(first, last)
    ]
    total = ask.objective == ["total"]
    cost = np.round(1e4 * flat["cost" if total else "seconds"]).astype(int).tolist()
    slowest = None if total else model.new_int_var(0, max(cost), "")
    for (first, last), count in zip(groups, flat["counts"].tolist(), strict=True):
        model.add(sum(x[first:last]) == count)
        if slowest is not None:
            load = cp_model.LinearExpr.weighted_sum(x[first:last], cost[first:last])
            model.add(load <= slowest)
    for row, cap in zip(flat["weights"], flat["caps"], strict=True):
        whole = np.ceil(row / cap * 1e9).astype(int).tolist()
        model.add(cp_model.LinearExpr.weighted_sum(x, whole) <= 10**9)
    model.minimize(cp_model.LinearExpr.weighted_sum(x, cost) if total else slowest)
    built, solving = building.read(), Stopwatch()
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = ask.limit
    solver.parameters.num_workers = 1
    solver.parameters.relative_gap_limit = 1e-6
    status = solver.solve(model)
    times = {"building": built, "solving": solving.read()}
    bound = solver.best_objective_bound / 1e4
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, bound, times
    return np.array([solver.value(v) for v in x]), bound, times


class Stopwatch:
    """CPU seconds of this process and of its children: a busy machine changes them little."""

    def __init__(self) -> None:
        self._begin, self._paused = self._now(), 0.0

    @staticmethod
    def _now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    @contextlib.contextmanager
    def pause(self) -> Any:
        begin = self._now()
        yield
        self._paused += self._now() - begin

    def read(self) -> float:
        return self._now() - self._begin - self._paused


def peak_memory_bytes() -> int:
    """VmHWM, or the larger one of this process and its children elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_one(ask: Any) -> None:
    """One method on one fleet, its result as a line of JSON."""
    warnings.simplefilter("ignore")
    size = ask.classes or ask.clients[0]
    fleet, counts = devices(size, ask.seed), np.ones(size, dtype=np.int64)
    if ask.classes:
        shares = np.random.default_rng(ask.seed).dirichlet(np.ones(size))
        counts += np.random.default_rng(ask.seed).multinomial(ask.members - size, shares)
    caps = caps_for(fleet, counts, TIGHTNESS[ask.objective[0]])
    begin = time.monotonic()
    result = (flexp if ask.one == "flexp" else peer)(fleet, counts, caps, ask)
    result["seconds"] = time.monotonic() - begin
    result["peak"] = peak_memory_bytes()
    print("\n" + json.dumps({k: v if v is None else float(v) for k, v in result.items()}))


def line_of(method: str, result: dict[str, Any]) -> str:
    value, bound = result.get("value"), result.get("bound")
    gap = "-"
    if value is not None and bound is not None and math.isfinite(bound):
        gap = f"{max(0.0, (value - bound) / abs(value)):.0e}"
    numbers = ["-" if n is None or not math.isfinite(n) else f"{n:.9g}" for n in (value, bound)]
    return (
        f"{method:8}{numbers[0]:>14}{numbers[1]:>14}{gap:>7}{result['building']:>9.2f}"
        f"{result['solving']:>9.2f}{result['seconds']:>8.1f}{result['peak'] / 2**20:>7.0f}"
    )


def compare(ask: Any, size: list[str], title: str, objective: str) -> None:
    print(f"\n{title}, {objective}")
    print(
        f"{'':8}{'value (s)':>14}{'bound (s)':>14}{'gap':>7}{'building':>9}{'solving':>9}"
        f"{'wall s':>8}{'MiB':>7}"
    )
    for method in ask.only:
        if method == "cp-sat" and importlib.util.find_spec("ortools") is None:
            print(f"{method:8}skipped: ortools is not installed")
            continue
        limit = str(ask.limit)
        command = [sys.executable, __file__, "--one", method, "--objective", objective, *size]
        command += ["--limit", limit, "--seed", str(ask.seed), "--members", str(ask.members)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=60 + 4 * ask.limit
            )
        except subprocess.TimeoutExpired:
            print(f"{method:8}ended after {60 + 4 * ask.limit:g} s, far over its limit")
            continue
        if done.returncode:
            print(f"{method:8}failed: {done.stderr.strip().splitlines()[-1]}")
        else:
            print(line_of(method, json.loads(done.stdout.splitlines()[-1])), flush=True)


def main() -> None:
    methods = ("flexp", *PEERS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--classes", type=int, default=0, help="classes of equal devices")
    parser.add_argument("--members", type=int, default=10**6, help="devices in all classes")
    parser.add_argument("--objective", nargs="+", choices=TIGHTNESS, default=list(TIGHTNESS))
    parser.add_argument("--only", nargs="+", choices=methods, default=list(methods))
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for each solver")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", choices=methods, help=argparse.SUPPRESS)
    ask = parser.parse_args()
    if ask.one:
        run_one(ask)
        return
    print("building and solving in CPU seconds, wall s with the arrays of the options")
    for objective in ask.objective:
        if ask.classes:
            title = f"{ask.members:,} devices in {ask.classes:,} classes"
            compare(ask, ["--classes", str(ask.classes)], title, objective)
            continue
        for clients in ask.clients:
            compare(ask, ["--clients", str(clients)], f"{clients:,} clients", objective)


if __name__ == "__main__":
    main()
