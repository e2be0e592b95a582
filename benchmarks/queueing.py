"""Step times by formula (`planner/queueing.py`) beside those of the simulated fleet.

    python benchmarks/queueing.py                       10 to 1,000 clients, two minutes
    python benchmarks/queueing.py --clients 20 --loads 0.8 --seeds 5

Devices, links and depths differ by lognormal factors (standard deviations of 0.8 in what a client
does elsewhere, 0.5 in what it asks of the server); a third of the clients make one visit a step,
the others two of unequal lengths. Messages fill 30% of the server's link either way. `load` is what
the fleet would ask of the server if nobody waited, `busy` what was simulated. The rest is predicted
over simulated, less 1, in percent: the mean over clients and the worst client each way, the worst
median and 95th percentile, and as `no queue` the mean of steps without any waiting.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from flexp.planner.queueing import predict
from flexp.planner.simulate import JITTER, Workload, simulate

KINDS = 50
"""Kinds of clients at most, so that each is simulated for many steps."""
TOTAL_STEPS = 100_000
LINK_FILLED = 0.3
LOADS = [0.3, 0.6, 0.8, 0.9, 1.1]


def fleet(clients: int, workers: int, load: float, seed: int) -> Workload:
    random = np.random.default_rng(1000 + seed)
    kinds = min(clients, KINDS)
    elsewhere = np.exp(0.8 * random.standard_normal(kinds))
    visits = np.where(random.random(kinds) < 1 / 3, 1, 2)
    device = elsewhere * random.uniform(0.3, 0.8, kinds)
    message = (elsewhere - device) * 0.4 / visits
    first = np.where(visits == 1, 1.0, random.uniform(0.3, 0.5, kinds))
    asked = np.exp(0.5 * random.standard_normal(kinds))
    parts = np.where(visits[:, None] == 1, [0.3, 0.7, 0.0], [0.3, 0.2, 0.5])
    workload = Workload(
        counts=np.full(kinds, clients // kinds),
        visits=visits,
        device_seconds=device[:, None] * parts,
        up_seconds=np.tile(message[:, None], 2),
        server_seconds=np.stack([asked * first, asked * (1 - first)], axis=1),
        down_seconds=np.tile(message[:, None], 2),
        round_trip_seconds=(elsewhere - device) * 0.2 / visits,
        up_share=np.exp(random.standard_normal(kinds)),
        down_share=np.exp(random.standard_normal(kinds)),
    )
    unloaded = workload.elsewhere_seconds()
    scale = _root(lambda k: workload.counts @ (k * asked / (unloaded + k * asked)) / workers, load)
    seconds = unloaded + scale * asked
    under_way = workload.counts * visits * message / seconds

    def narrowed(share: np.ndarray) -> np.ndarray:
        return np.minimum(
            1, share * _root(lambda k: under_way @ np.minimum(1, k * share), LINK_FILLED)
        )

    return replace(
        workload,
        server_seconds=scale * workload.server_seconds,
        up_share=narrowed(workload.up_share),
        down_share=narrowed(workload.down_share),
    )


def _root(rising: Callable[[float], float], value: float) -> float:
    low, high = 1e-9, 1e9
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return high


def compare(clients: int, workers: int, load: float, seeds: int, jitter: float) -> str:
    errors, medians, tails, plain, busy = [], [], [], [], []
    for seed in range(seeds):
        workload = fleet(clients, workers, load, seed)
        steps = max(20, TOTAL_STEPS // clients)
        seen = simulate(workload, workers, jitter, steps, seed)
        told = predict(workload, workers, jitter)
        unloaded = workload.elsewhere_seconds() + workload.server_seconds.sum(axis=1)
        errors.append(told.mean_seconds / seen.mean_seconds - 1)
        medians.append(told.p50_seconds / seen.p50_seconds - 1)
        tails.append(told.p95_seconds / seen.p95_seconds - 1)
        plain.append(unloaded / seen.mean_seconds - 1)
        busy.append(seen.server_utilisation)
    all_errors = np.concatenate(errors)
    worst = [max(np.concatenate(e), key=abs) for e in (medians, tails)]
    figures = [all_errors.mean(), all_errors.min(), all_errors.max(), *worst]
    figures.append(np.concatenate(plain).mean())
    cells = "".join(f"{100 * figure:>+9.1f}" for figure in figures)
    return f"{clients:>7}{workers:>4}{load:>6.1f}{np.mean(busy):>6.2f}{cells}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 30, 100, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jitter", type=float, default=JITTER)
    ask = parser.parse_args()
    print("clients   G  load  busy     mean    least     most   median      p95 no queue")
    begin = time.process_time()
    for clients in ask.clients:
        for workers in ask.workers:
            for load in ask.loads:
                print(compare(clients, workers, load, ask.seeds, ask.jitter), flush=True)
    print(f"{time.process_time() - begin:.0f} s of CPU time")


if __name__ == "__main__":
    main()
