"""Waiting at a server that clients share without a barrier: rows that are linear for a given wait.

The level of a server is w, the seconds that a visit would wait there on average if it came from
outside of the fleet. What one client does at a level doesn't depend on the others. Let it spend B
seconds of a step elsewhere and ask for S seconds in V visits, each of s = Σ (visit)² / S seconds,
and let P = B + S, T' = P + V · w. With G accelerators:

    ρ(w) = min(1, v + √(v² + v · 10 w / T'))   the utilisation at which a fleet of such clients
                                               makes a visit wait w
    h(w) = min(1, S / (G · ρ · T))             one client's share of such a fleet
    T(w) = P + V · w · (1 − S / (G · ρ · T'))  its step: it never waits for itself

A fleet keeps a server at the level w if Σ h(w) <= 1, which is exact where all clients are alike.
2v = r solves G · w / s = r^(√(2(G + 1)) − 1) / (2 (1 − r)): an open queue of G servers with equal
visits (Sakasegawa, "An approximation formula L_q = α·ρ^β/(1−ρ)", Annals of the Institute of
Statistical Mathematics 29, 1977, divided by r as Little's law asks). The other term under the root
is for small fleets, which are more regular than open arrivals and hence wait less, as periodic
sources do (Norros, Roberts, Simonian and Virtamo, "The superposition of variable bit rate sources
in an ATM multiplexer", IEEE JSAC 9, 1991). Its 10 is fitted to the simulation (`simulate.py`) and
validated on other fleets (`benchmarks/queueing.py`).

T rises with w and h falls with it: T at a and h at b bound all levels from a to b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from .crossing import crossings
from .relaxation import Relaxation
from .simulate import JITTER, Workload
from .solver.problem import FloatArray, IntArray

REGULARITY = 10.0
"""How much more regular than open arrivals a small fleet is; fitted."""
TABLE = 20_000
"""Points of the relation between wait and utilisation."""
LEVEL_TOLERANCE = 1e-9
ROUNDING = 1e-13
"""Shares sum to 1 less this, so that they are no more in whatever order they are summed up."""
LEVEL_ROUNDING = 1e-6
"""Relative; more than what limits may be overrun by."""
LEAST_LEVEL = 1e-9
ROUNDS = 200
"""Of the links' and the server's figures in turn, until steps change by less than SETTLED."""
SETTLED = 1e-9
FULL = 0.999
"""Utilisation of a link beyond which transfers don't slow down further in the formula."""
NOTHING = -50.0
"""Logarithm of what adds nothing to 1, divided by 1 - FULL or not."""
LEAST_FILLED = 1e-300
"""In place of 0, which has no logarithm."""
NORMAL_95 = 1.6448536269514722
"""95th percentile of the standard normal distribution."""


@dataclass(frozen=True, eq=False)
class Demand:
    """What a step of N clients or options asks of a server; seconds without waiting."""

    elsewhere_seconds: FloatArray
    """float64[N]: device, wire and round trips."""
    server_seconds: FloatArray
    """float64[N]: of all visits together."""
    lengths: FloatArray
    """float64[L]: seconds of visits; options by the thousand share a few of them."""
    which: IntArray
    """int64[N]: of these, Σ (visit)² / Σ visit, the visit that a busy accelerator is in."""
    visits: FloatArray
    """float64[N]: 1 or 2 a step."""

    def take(self, columns: IntArray) -> Demand:
        return Demand(
            self.elsewhere_seconds[columns],
            self.server_seconds[columns],
            self.lengths,
            self.which[columns],
            self.visits[columns],
        )


def demand(elsewhere_seconds: FloatArray, visit_seconds: FloatArray) -> Demand:
    """From the seconds of each visit, float64[N, V]; a visit of 0 seconds doesn't take place."""
    total = visit_seconds.sum(axis=1)
    squares = (visit_seconds**2).sum(axis=1)
    mean = np.divide(squares, total, out=np.zeros_like(total), where=total > 0)
    lengths, which = np.unique(mean, return_inverse=True)
    visits = (visit_seconds > 0).sum(axis=1).astype(float)
    return Demand(elsewhere_seconds, total, lengths, which, visits)


@dataclass(frozen=True, eq=False)
class Steps:
    """Of N clients or options, at one level of the server."""

    seconds: FloatArray
    """float64[N]: T, waiting included. Rises with the level."""
    share: FloatArray
    """float64[N], 0 to 1: h, what one client takes of the level. Falls with the level."""


def at_level(demand: Demand, level_seconds: float | FloatArray, workers: int) -> Steps:
    """Steps while a visit from outside would wait `level_seconds` at a server with `workers`
    accelerators; float64[N] where it is another server for each, and then L = N lengths."""
    asked, alone = demand.server_seconds, demand.elsewhere_seconds + demand.server_seconds
    waited = demand.visits * level_seconds
    longest = alone + waited
    busy = workers * _utilisation(demand, longest, level_seconds, workers)
    seconds = alone + waited * (1 - _share(asked, busy * longest))
    return Steps(seconds, _share(asked, busy * seconds))


def most_share(
    alone_seconds: FloatArray,
    server_seconds: FloatArray,
    visit_seconds: FloatArray,
    level_seconds: float,
    workers: int,
) -> FloatArray:
    """At least h at this level or any above it, where a step takes `alone_seconds` or longer, as
    ρ >= r and T >= P; arrays that broadcast."""
    busy = workers * _open_utilisation(level_seconds, visit_seconds, workers)
    return _share(server_seconds, busy * alone_seconds)


def most_level(
    service_seconds: FloatArray,
    visit_seconds: FloatArray,
    others: FloatArray,
    utilisation: float,
    workers: IntArray,
) -> FloatArray:
    """float64[K]: a level that no fleet keeps each server at that has so many `others` beside each
    client and is at most so full; of its longest step and visit, float64[K].

    Everyone else's longest work is waiting. And a server at the level w is Σ h · ρ full or fuller,
    with Σ h = 1 and ρ >= r, so r at its longest visits is no more than `utilisation`.
    """
    waits = np.array([np.interp(utilisation, *_open_queue(g)[::-1]) for g in workers.tolist()])
    longest = np.minimum(service_seconds * others, visit_seconds * waits * (1 + LEVEL_ROUNDING))
    return np.maximum(longest / workers, LEAST_LEVEL)


def utilisation_at(demand: Demand, level_seconds: float, workers: int) -> FloatArray:
    """float64[N]: ρ, concave in the level and rising."""
    alone = demand.elsewhere_seconds + demand.server_seconds
    return _utilisation(demand, alone + demand.visits * level_seconds, level_seconds, workers)


def _utilisation(
    demand: Demand, longest: FloatArray, level_seconds: float | FloatArray, workers: int
) -> FloatArray:
    """`longest`: T' of the module's docstring, float64[N]."""
    open_half = (_open_utilisation(level_seconds, demand.lengths, workers) / 2)[demand.which]
    regular = REGULARITY * level_seconds / longest
    return np.minimum(1.0, open_half + np.sqrt(open_half * (open_half + regular)))


def _share(asked: FloatArray, offered: FloatArray) -> FloatArray:
    """asked / offered, at most 1; nothing asked is no share."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.minimum(asked / offered, 1.0)
    share[np.broadcast_to(asked == 0, share.shape)] = 0.0
    return share


def _open_utilisation(
    level_seconds: float | FloatArray, visit_seconds: FloatArray, workers: int
) -> FloatArray:
    """float64[N]: r of the module's docstring, straight between the points of a table: r is
    concave, and so are such lines."""
    waits, utilisation = _open_queue(workers)
    offered = workers * level_seconds
    wanted = np.full_like(visit_seconds, np.inf)
    np.divide(offered, visit_seconds, out=wanted, where=visit_seconds * waits[-1] > offered)
    return np.interp(wanted, waits, utilisation)


@cache
def _open_queue(workers: int) -> tuple[FloatArray, FloatArray]:
    """workers · wait / visit and the utilisation r, both rising from 0."""
    half = np.geomspace(1e-6, 0.5, TABLE // 2)
    utilisation = np.concatenate([half, 1 - half[-2::-1]])
    waits = utilisation ** (math.sqrt(2 * (workers + 1)) - 1) / (2 * (1 - utilisation))
    return np.concatenate([[0.0], waits]), np.concatenate([[0.0], utilisation])


def steady_level(
    demand: Demand, counts: IntArray, workers: int, near: float | None = None
) -> float:
    """The least level, in seconds, that the server keeps with `counts` clients of each kind; the
    closer it is to `near`, the sooner it is found."""
    fleet = np.zeros(len(counts), dtype=np.int64)
    start = None if near is None else np.array([near])
    return float(steady_levels(demand, counts.astype(float), fleet, 1, workers, start)[0])


def steady_levels(
    demand: Demand,
    members: FloatArray,
    fleet: IntArray,
    fleets: int,
    workers: int,
    near: FloatArray | None = None,
) -> FloatArray:
    """float64[M]: the same of several fleets, each with a server of its own; `fleet`, int64[N],
    says to which the members, float64[N], belong. Of more than one, demands have L = N lengths.

    Shares fall about as a power of the level.
    """

    def asked(level: FloatArray) -> FloatArray:
        """log Σ h: falls with the level, and is 0 at the steady one."""
        share = at_level(demand, level[fleet] if fleets > 1 else level, workers).share
        return np.log(np.maximum(np.bincount(fleet, members * share, fleets), math.ulp(0.0)))

    waiting = asked(np.zeros(fleets)) > 0
    if not waiting.any():
        return np.zeros(fleets)
    longest = np.where(waiting, 0.0, 1.0)
    np.maximum.at(longest, fleet, demand.lengths[demand.which])
    start = longest if near is None else np.where(near > 0, near, longest)

    def of_those_waiting(level: FloatArray) -> FloatArray:
        return np.where(waiting, asked(level) + ROUNDING, np.log(start / level))

    return np.where(waiting, crossings(of_those_waiting, start, LEVEL_TOLERANCE), 0.0)


def link_factor(share: FloatArray, utilisation: FloatArray) -> FloatArray:
    """How many times longer a message takes on a link that others fill to `utilisation`, where it
    runs at `share` of the link's rate when alone; rises with both.

    1 + u^(√(2(m + 1)) − 1) / (m (1 − u)) with m = 1 / share: processor sharing where m messages fit
    at full speed, by the approximation of the module's docstring.
    """
    fit = 1 / share
    filled = np.clip(utilisation, 0.0, FULL)
    power = np.sqrt(2 * (fit + 1)) - 1
    most = NOTHING / np.log(np.maximum(filled, LEAST_FILLED))
    return 1 + filled ** np.minimum(power, most) / (fit * (1 - filled))


def link_slope(share: FloatArray, utilisation: FloatArray) -> FloatArray:
    """The derivative of `link_factor`, which is convex, by the utilisation."""
    fit = 1 / share
    power = np.sqrt(2 * (fit + 1)) - 1
    filled = np.clip(utilisation, 0.0, FULL)
    rising = power * filled ** (power - 1) * (1 - filled) + filled**power
    return np.where(utilisation > 0, rising / (fit * (1 - filled) ** 2), 0.0)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What `simulate` would find for C classes, by formula."""

    mean_seconds: FloatArray
    """float64[C]: of a step."""
    p50_seconds: FloatArray
    p95_seconds: FloatArray
    level_seconds: float
    """Mean wait of a visit from outside of the fleet."""
    server_utilisation: float
    up_utilisation: float
    """Share of the server's link that the messages to the server fill."""
    down_utilisation: float


def predict(workload: Workload, workers: int = 1, jitter: float = JITTER) -> Predicted:
    """The fixed point of the server's level and both directions of its link.

    Percentiles are those of a gamma distribution (Wilson and Hilferty, "The distribution of
    chi-square", PNAS 17, 1931). Its variance is that of the parts of a step, jitter² · part², and
    of each wait: the wait times Σ s³ / (G · Σ s²) over all visits.
    """
    used = workload.used()
    visits = workload.server_seconds * used
    up, down = ((t * used).sum(axis=1) for t in (workload.up_seconds, workload.down_seconds))
    alone = workload.elsewhere_seconds()
    seconds, towards = alone + visits.sum(axis=1), Relaxation()
    level = 0.0
    for _ in range(ROUNDS):
        up_share, down_share = (
            workload.up_share * up / seconds,
            workload.down_share * down / seconds,
        )
        up_filled, down_filled = workload.counts @ up_share, workload.counts @ down_share
        slow_up = link_factor(workload.up_share, up_filled - up_share)
        slow_down = link_factor(workload.down_share, down_filled - down_share)
        asked = demand(alone + up * (slow_up - 1) + down * (slow_down - 1), visits)
        level = steady_level(asked, workload.counts, workers, level)
        before, seconds = seconds, at_level(asked, level, workers).seconds
        if np.abs(seconds / before - 1).max() <= SETTLED:
            break
        seconds = towards(before, seconds)
    waited = seconds - asked.elsewhere_seconds - asked.server_seconds
    device = np.concatenate(
        [workload.device_seconds[:, :1], workload.device_seconds[:, 1:] * used], 1
    )
    wire = (
        workload.up_seconds * used * slow_up[:, None],
        workload.down_seconds * used * slow_down[:, None],
    )
    parts = sum((table**2).sum(axis=1) for table in (device, *wire, visits))
    rates = workload.counts / seconds
    squares, cubes = rates @ (visits**2).sum(axis=1), rates @ (visits**3).sum(axis=1)
    variance = jitter**2 * parts + waited * (cubes / (workers * squares) if squares else 0.0)
    return Predicted(
        mean_seconds=seconds,
        p50_seconds=_gamma_quantile(seconds, variance, 0.0),
        p95_seconds=_gamma_quantile(seconds, variance, NORMAL_95),
        level_seconds=level,
        server_utilisation=float(rates @ visits.sum(axis=1)) / workers,
        up_utilisation=float(up_filled),
        down_utilisation=float(down_filled),
    )


def _gamma_quantile(mean: FloatArray, variance: FloatArray, normal: float) -> FloatArray:
    """float64[C]: where the normal distribution has `normal` standard deviations."""
    spread = variance / (9 * mean**2)
    return mean * np.maximum(0.0, 1 - spread + normal * np.sqrt(spread)) ** 3
