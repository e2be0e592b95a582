"""From a menu and machines to the program: limits of each client, pruning, equal ones merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .figures import Figures, figures
from .fleet import Policy
from .machines import Clients, Servers
from .menu import Menu
from .objective import ABSENT, Objective, Setting
from .program import C4, MEASURES, Program, Row
from .solver.aggregate import Block, Origin, aggregate, separate
from .solver.problem import BoolArray, FloatArray, IntArray, Problem
from .value import ValueCurve

ROWS_AT_A_TIME = 1024
"""Client entries whose options are in memory at the same time."""
AT_A_TIME = 512
"""The same, where nothing is kept of them: their options fit the processor's cache."""

NUMBERS = (
    *("apart", "up", "down", "up_share", "down_share"),
    *("service", "visit", "visits", "rounds", "absent"),
)
"""Of a block, before those of the objectives."""

Pick = Callable[[Program], BoolArray]
"""Takes bool[N] columns of a program."""


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
        """Everyone takes part, with those columns only that `pick` takes from each of `parts`."""
        blocks = (
            replace(block, allowed=_only(block.allowed, pick(self._part(block))))
            for block in self._blocks(None, AT_A_TIME)
        )
        return self._program(*aggregate(blocks, self._caps, self._rows, prune=False), self.servers)

    def parts(self) -> Iterator[Program]:
        """The program of everyone, some entries at a time with their share of the servers; nothing
        is pruned or merged."""
        return map(self._part, self._blocks(None, AT_A_TIME))

    def sample(self, entries: int) -> Builder:
        """About so many entries, with their share of the servers."""
        index = np.arange(0, len(self.clients), max(1, len(self.clients) // entries))
        clients = self.clients.take(index)
        return replace(self, clients=clients, servers=self._shared_out(clients.count))

    def stuck(self) -> IntArray:
        """Indices of the entries that have no column."""
        found = [
            self._possible(self._figures(part)).any(axis=(1, 2))
            for part in self.clients.rows(ROWS_AT_A_TIME)
        ]
        return np.flatnonzero(~np.concatenate(found))

    @property
    def most_level(self) -> FloatArray:
        """float64[K]: as that of any of its programs, or more."""
        longest = self.menu.column("server_flops").max() / self.servers.flops_per_second
        members = self.clients.count.sum() / self.servers.count
        return np.maximum(longest * members / self.servers.accelerators, 1e-9)

    @property
    def _caps(self) -> FloatArray:
        return self.servers.memory_bytes * self.servers.count

    @property
    def _rows(self) -> list[str]:
        return [Row(C4, k).name for k in range(len(self.servers))]

    def _shared_out(self, counts: IntArray) -> Servers:
        share = float(counts.sum() / self.clients.count.sum())
        return replace(self.servers, count=np.asarray(self.servers.count * share, dtype=float))

    def _part(self, block: Block) -> Program:
        assert block.counts is not None
        servers = self._shared_out(block.counts)
        return self._program(
            *separate(block, servers.memory_bytes * servers.count, self._rows), servers
        )

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

    def _figures(self, part: Clients) -> Figures:
        return figures(self.menu, part, self.servers, self.policy)

    def _possible(self, found: Figures) -> BoolArray:
        """[n, O, K]: what keeps the client's own limits and fits a server of its own."""
        memory = self.menu.column("server_memory_bytes")[:, None]
        return found.allowed & (memory <= self.servers.memory_bytes)[None]

    def _blocks(self, optional: BoolArray | None, size: int | None = None) -> Iterator[Block]:
        """With a `size`, of so many entries each, without what only pruning looks at."""
        start = 0
        for part in self.clients.rows(size or ROWS_AT_A_TIME):
            away = None if optional is None else optional[start : start + len(part)]
            yield self._block(part, self._figures(part), away, pruned=size is None)
            start += len(part)

    def _block(self, part: Clients, found: Figures, away: BoolArray | None, pruned: bool) -> Block:
        kinds, flat = len(self.servers), _Flat(found.up_seconds.shape, away is not None)
        memory = self.menu.column("server_memory_bytes")[None, :, None]
        own_kind = np.eye(kinds)[:, None, None, :]
        setting = Setting(self.menu, part, self.servers, found, self.blocks, self.curve)
        absent, possible = flat(np.zeros((1, 1, 1))), flat(self._possible(found)) > 0
        if away is not None:
            absent[:, -1], possible[:, -1] = part.weight, away
        measures = dict(
            zip(
                NUMBERS[:-1],
                map(
                    flat,
                    (
                        *(found.apart_seconds, found.up_seconds, found.down_seconds),
                        *(found.up_share, found.down_share),
                        *(found.server_seconds, found.visit_seconds),
                        self.menu.column("visits")[None, :, None],
                        self.menu.steps_per_round[None, :, None],
                    ),
                ),
                strict=True,
            )
        )
        times = measures["apart"] + measures["up"] + measures["down"] + measures["service"]
        tables = [
            *(*measures.values(), absent),
            *(flat(objective.per_second(setting)) for objective in self.objectives),
            *(self._fixed(o, setting, flat, absent) for o in self.objectives),
        ]
        if pruned:
            tables += [*_ratios(measures), *(flat(one) for one in own_kind if kinds > 1)]
        return Block(
            cost=times,
            weights=np.stack([flat(memory * one) for one in own_kind]),
            allowed=possible,
            counts=part.count,
            measures=tables,
        )

    def _fixed(
        self, objective: Objective, setting: Setting, flat: _Flat, absent: FloatArray
    ) -> FloatArray:
        away = sum(weight for weight, metric in objective.terms if metric == ABSENT)
        return flat(objective.fixed(setting)) + away * absent


class _Flat:
    """[n, O, K], or what broadcasts to it, to [n, O·K], and a column for taking no part."""

    def __init__(self, shape: tuple[int, ...], away: bool) -> None:
        self.shape, self.away = shape, away

    def __call__(self, table: FloatArray | BoolArray) -> FloatArray:
        full = (
            np.broadcast_to(table, self.shape).reshape(self.shape[0], -1).astype(float, copy=False)
        )
        return np.append(full, np.zeros((len(full), 1)), axis=1) if self.away else full


def _only(allowed: BoolArray, taken: BoolArray) -> BoolArray:
    """The allowed options that are taken; `taken` is bool[N], one for each allowed option."""
    kept = np.zeros_like(allowed)
    kept[allowed] = taken
    return kept


def _ratios(measures: dict[str, FloatArray]) -> Iterator[FloatArray]:
    """What a column asks of C5 and C6 falls with the rest of its step: a faster option asks more
    often. None of these may rise where a column is to beat another one at any objective."""
    rest = [measures[name] for name in ("apart", "up", "down", "service")]
    for asked in ("service", "up", "down"):
        for part in rest:
            if part is not measures[asked]:
                yield np.divide(measures[asked], part, out=np.zeros_like(part), where=part > 0)
