"""From a menu and machines to the program: limits of each client, pruning, equal ones merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from .figures import figures
from .fleet import Policy
from .machines import Clients, Servers
from .menu import Menu
from .objective import ABSENT, Objective, Setting
from .options import NUMBERS, Options
from .program import C4, MEASURES, Program, Row
from .queueing import most_level
from .solver.aggregate import Block, Origin, aggregate, merged, separate
from .solver.problem import BoolArray, FloatArray, IntArray, Problem
from .threads import in_threads
from .value import ValueCurve

ROWS_AT_A_TIME = 1024
"""Client entries whose options are in memory at the same time."""
AT_A_TIME = 4096
"""The same in a thread, where nothing is kept of them: numpy's loops over so many take far longer
than what Python does between them, which holds up the other threads."""

Found = TypeVar("Found")
Pick = Callable[[Options], BoolArray]
"""Takes some options, [n, O, K], of those that are possible."""


def possible(options: Options) -> BoolArray:
    """All of them."""
    return options.possible


@dataclass(frozen=True, eq=False)
class Builder:
    """Makes the program of one fleet."""

    menu: Menu
    clients: Clients
    servers: Servers
    policy: Policy
    objectives: Sequence[Objective]
    blocks: int
    curve: ValueCurve

    def build(self, optional: BoolArray | None = None) -> Program:
        """All variants that keep the clients' own limits and fit a server alone.

        `optional`, bool[C]: who may take no part; None: everyone takes part. Raises ValueError
        where a client has no column: `stuck` finds them first.
        """
        static, origin = aggregate(self._blocks(optional), self._caps, self._rows)
        return self._program(static, origin, self.servers)

    def narrowed(self, pick: Pick) -> Program:
        """Everyone takes part, with those columns only that `pick` takes: at least one of each
        entry."""
        parts = self.each(lambda options: options.part(pick(options)))
        return self._program(*merged(parts, self._caps, self._rows), self.servers)

    def unmerged(self) -> Program:
        """All variants that keep the clients' own limits; everyone takes part and stays alone."""
        options = self._options(self.clients)
        return self.part(options, options.possible)

    def each(self, function: Callable[[Options], Found]) -> Iterator[Found]:
        """`function` of everyone's options, some entries at a time, in their order. Several run at
        the same time."""
        return in_threads(lambda part: function(self._options(part)), self.clients.rows(AT_A_TIME))

    def part(self, options: Options, taken: BoolArray) -> Program:
        """The program of some options, [n, O, K], of these clients with their share of the servers;
        nothing is pruned or merged."""
        servers = self._shared_out(options.counts)
        caps = servers.memory_bytes * servers.count
        return self._program(*separate(options.part(taken), caps, self._rows), servers)

    def sample(self, entries: int) -> Builder:
        """About so many entries, with their share of the servers."""
        index = np.arange(0, len(self.clients), max(1, len(self.clients) // entries))
        clients = self.clients.take(index)
        return replace(self, clients=clients, servers=self._shared_out(clients.count))

    def stuck(self, usable: Pick = possible) -> IntArray:
        """Indices of the entries that have no usable option."""
        found = self.each(lambda options: usable(options).any(axis=(1, 2)))
        return np.flatnonzero(~np.concatenate(list(found)))

    @property
    def most_level(self) -> FloatArray:
        """float64[K]: as that of any of its programs, or more."""
        service, visit = (
            self.menu.column(name).max() / self.servers.flops_per_second
            for name in ("server_flops", "visit_flops")
        )
        members, use = self.clients.count.sum() / self.servers.count, self.policy.server_utilisation
        return most_level(service, visit, members, use, self.servers.accelerators)

    @property
    def _caps(self) -> FloatArray:
        return self.servers.memory_bytes * self.servers.count

    @property
    def _rows(self) -> list[str]:
        return [Row(C4, k).name for k in range(len(self.servers))]

    def _shared_out(self, counts: IntArray) -> Servers:
        share = float(counts.sum() / self.clients.count.sum())
        return replace(self.servers, count=np.asarray(self.servers.count * share, dtype=float))

    def _program(self, static: Problem, origin: Origin, servers: Servers) -> Program:
        kinds, objectives = len(self.servers), len(self.objectives)
        away = origin.option == len(self.menu) * kinds
        measures, rest = np.split(origin.measures, [len(NUMBERS)])
        by_name = dict(zip(NUMBERS, measures, strict=True))
        lengths, which = self._visits
        return Program(
            static=static,
            origin=origin,
            variant=np.where(away, -1, origin.option // kinds),
            kind=np.where(away, -1, origin.option % kinds),
            lengths=lengths,
            which=which[origin.option],
            per_second=rest[:objectives],
            fixed=rest[objectives : 2 * objectives],
            servers=servers,
            policy=self.policy,
            link_use=np.zeros((2, kinds)),
            own_use=np.zeros((2, static.columns)),
            **{name: by_name[name] for name in MEASURES},
        )

    @cached_property
    def _visits(self) -> tuple[FloatArray, IntArray]:
        """Seconds of visits, and for each option, [O·K + 1], which of them it has."""
        seconds = self.menu.column("visit_flops")[:, None] / self.servers.flops_per_second
        return np.unique(np.append(seconds, 0.0), return_inverse=True)

    def _options(self, part: Clients) -> Options:
        found = figures(self.menu, part, self.servers, self.policy)
        memory = self.menu.column("server_memory_bytes")[None, :, None]
        setting = Setting(self.menu, part, self.servers, found, self.blocks, self.curve)
        numbers = (
            *(found.apart_seconds, found.up_seconds, found.down_seconds),
            *(found.up_share, found.down_share),
            *(found.server_seconds, found.visit_seconds),
            self.menu.column("visits")[None, :, None],
            self.menu.steps_per_round[None, :, None],
            np.zeros((1, 1, 1)),
        )
        return Options(
            counts=part.count,
            possible=found.allowed & (memory <= self.servers.memory_bytes),
            memory=[memory * one for one in np.eye(len(self.servers))],
            numbers=dict(zip(NUMBERS, numbers, strict=True)),
            per_second=[objective.per_second(setting) for objective in self.objectives],
            fixed=[objective.fixed(setting) for objective in self.objectives],
        )

    def _blocks(self, optional: BoolArray | None) -> Iterator[Block]:
        start = 0
        for part in self.clients.rows(ROWS_AT_A_TIME):
            away = None if optional is None else optional[start : start + len(part)]
            yield self._block(self._options(part), part.weight, away)
            start += len(part)

    def _block(self, options: Options, weight: FloatArray, away: BoolArray | None) -> Block:
        kinds, flat = len(self.servers), _Flat(options.possible.shape, away is not None)
        possible = flat(options.possible) > 0
        numbers = {name: flat(table) for name, table in options.numbers.items()}
        fixed = [flat(table) for table in options.fixed]
        if away is not None:
            possible[:, -1], numbers["absent"][:, -1] = away, weight
            for table, objective in zip(fixed, self.objectives, strict=True):
                table[:, -1] = weight * sum(w for w, metric in objective.terms if metric == ABSENT)
        own_kind = np.eye(kinds)[:, None, None, :] if kinds > 1 else ()
        return Block(
            cost=flat(options.seconds),
            weights=np.stack([flat(table) for table in options.memory]),
            allowed=possible,
            counts=options.counts,
            measures=[
                *numbers.values(),
                *(flat(table) for table in options.per_second),
                *fixed,
                *_ratios(numbers),
                *(flat(one) for one in own_kind),
            ],
        )


class _Flat:
    """[n, O, K], or what broadcasts to it, to [n, O·K], and a column for taking no part."""

    def __init__(self, shape: tuple[int, ...], away: bool) -> None:
        self.shape, self.away = shape, away

    def __call__(self, table: FloatArray | BoolArray) -> FloatArray:
        full = np.zeros((self.shape[0], self.shape[1] * self.shape[2] + self.away))
        full[:, : self.shape[1] * self.shape[2]] = np.broadcast_to(table, self.shape).reshape(
            self.shape[0], -1
        )
        return full


def _ratios(measures: dict[str, FloatArray]) -> Iterator[FloatArray]:
    """What a column asks of C5 and C6 falls with the rest of its step: a faster option asks more
    often. None of these may rise where a column is to beat another one at any objective."""
    rest = [measures[name] for name in ("apart", "up", "down", "service")]
    for asked in ("service", "up", "down"):
        for part in rest:
            if part is not measures[asked]:
                yield np.divide(measures[asked], part, out=np.zeros_like(part), where=part > 0)
