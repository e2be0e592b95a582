"""The fleet as an integer program: groups of equal clients, columns (a variant on a kind of
server), and the rows that clients share, at any level of the servers' queues.

Labels and formulas are those of docs/planner.md. What a column asks of C4 doesn't depend on the
queues; its step time and what it asks of C5 and C6 do: `Program.at` computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from . import queueing
from .fleet import Policy
from .machines import Servers
from .solver.aggregate import Origin
from .solver.problem import BoolArray, FloatArray, IntArray, Problem, take_columns

C4, C5_QUEUE, C5_COMPUTE, C6_UP, C6_DOWN = LABELS = (
    "C4_server_memory",
    "C5_server_queue",
    "C5_server_compute",
    "C6_server_link_up",
    "C6_server_link_down",
)
MEASURES = (
    *("apart", "up", "down", "up_share", "down_share"),
    *("service", "visits", "rounds", "absent"),
)
PLACES = ("variant", "kind", "which")
WAY = {C6_DOWN: 0, C6_UP: 1}
"""Which use of a link a row limits: to the server, or from it."""

Rows = Sequence[tuple[str, FloatArray, float]]
"""Label, what each column asks, cap."""


def how_often(seconds: FloatArray) -> FloatArray:
    """Steps per second; none where nothing takes time."""
    return np.divide(1.0, seconds, out=np.zeros_like(seconds), where=seconds > 0)


@dataclass(frozen=True, eq=False)
class Steps:
    """float64[N] at given levels."""

    seconds: FloatArray
    """Of a step, waiting included."""
    share: FloatArray
    """How much of its server's level a member takes."""

    @cached_property
    def often(self) -> FloatArray:
        return how_often(self.seconds)


@dataclass(frozen=True, eq=False)
class Program:
    """N columns of G groups; arrays are float64[N] unless said otherwise, of one step.

    A level is float64[K]: for each kind of server, how many seconds a visit waits in its queue
    (planner/queueing.py).
    """

    static: Problem
    """Groups, columns, and the rows that don't depend on queues: C4 for each kind of server."""
    origin: Origin
    variant: IntArray
    """int64[N]: index in the menu; -1 for taking no part."""
    kind: IntArray
    """int64[N]: index of the kind of server; -1 for taking no part."""
    apart: FloatArray
    """Seconds on the device and in round trips, less what micro-batches hide."""
    up: FloatArray
    """Seconds of the transfers to the server, alone on its link."""
    down: FloatArray
    up_share: FloatArray
    """Rate of these transfers over that of the server's link."""
    down_share: FloatArray
    service: FloatArray
    """Seconds of the server's work."""
    lengths: FloatArray
    """float64[L]: seconds of visits."""
    which: IntArray
    """int64[N]: which of these is the visit that a busy accelerator is in."""
    visits: FloatArray
    rounds: FloatArray
    """Steps of a round."""
    absent: FloatArray
    """The client's weight where the column means taking no part, else 0."""
    per_second: FloatArray
    """float64[levels, N]: cost of a second of the step."""
    fixed: FloatArray
    """float64[levels, N]: cost that doesn't depend on time."""
    servers: Servers
    policy: Policy
    link_use: FloatArray
    """float64[2, K]: how full the clients keep the servers' links, up to the server and down."""
    own_use: FloatArray
    """float64[2, N]: what one member itself adds to that."""

    @property
    def most_level(self) -> FloatArray:
        """float64[K]: levels that no choice exceeds."""
        visit = self.lengths[self.which]
        service, visits = (
            np.array([of[mine].max(initial=0.0) for mine in self.on])
            for of in (self.service, visit)
        )
        members, use = self.static.members / self.servers.count, self.policy.server_utilisation
        return queueing.most_level(service, visits, members, use, self.servers.accelerators)

    @cached_property
    def on(self) -> list[BoolArray]:
        """bool[N] for each kind of server: the columns that are served by it."""
        return [self.kind == k for k in range(len(self.servers))]

    @cached_property
    def served(self) -> list[BoolArray | slice]:
        """The same columns; a slice where it is all of them, as that copies nothing."""
        return [slice(None) if mine.all() else mine for mine in self.on]

    @cached_property
    def rows(self) -> list[Row]:
        """C5 and C6 of each kind of server, in the order of a problem's rows after the static."""
        return [Row(label, k) for label in LABELS[1:] for k in range(len(self.servers))]

    @cached_property
    def demands(self) -> list[queueing.Demand]:
        """For each kind of server, of its own columns."""
        return [
            queueing.Demand(
                self.elsewhere[mine],
                self.service[mine],
                self.lengths,
                self.which[mine],
                self.visits[mine],
            )
            for mine in self.served
        ]

    @cached_property
    def traffic(self) -> FloatArray:
        """float64[2, N]: seconds for which a step alone would fill the server's link, to the server
        and from it."""
        return np.stack([self.up_share * self.up, self.down_share * self.down])

    @cached_property
    def elsewhere(self) -> FloatArray:
        """Seconds of a step that are not at the server, on links as full as `link_use` says."""
        return self.elsewhere_at(self.link_use)

    def elsewhere_at(self, use: FloatArray) -> FloatArray:
        """The same for another use, float64[2, K]."""
        total = self.apart.copy()
        for way, (seconds, share) in enumerate(
            ((self.up, self.up_share), (self.down, self.down_share))
        ):
            for k, mine in enumerate(self.served):
                if use[way, k] <= 0:
                    total[mine] += seconds[mine]
                    continue
                others = np.clip(use[way, k] - self.own_use[way][mine], 0.0, None)
                total[mine] += seconds[mine] * queueing.link_factor(share[mine], others)
        return total

    def with_link_use(self, use: FloatArray, level: FloatArray) -> Program:
        """The same with other traffic on the servers' links, where steps take as long as they do
        here at `level`."""
        return replace(self, link_use=use, own_use=self.traffic * self.steps(level).often)

    def with_use(self, use: FloatArray) -> Program:
        """The same with other traffic, a member's own as before."""
        return replace(self, link_use=use)

    def at_least(self, use: FloatArray) -> Program:
        """Steps no longer than on any links that are as full as `use` or fuller."""
        alone = self.apart + self.up + self.down + self.service
        often = how_often(alone)
        return replace(self, link_use=use, own_use=self.traffic * often)

    def at_most(self, use: FloatArray) -> Program:
        """Steps no shorter than on any links that are as full as `use` or emptier."""
        return replace(self, link_use=use, own_use=np.zeros_like(self.own_use))

    def steps(self, level: FloatArray) -> Steps:
        found = Steps(np.zeros_like(self.apart), np.zeros_like(self.apart))
        for k, mine in enumerate(self.served):
            workers = int(self.servers.accelerators[k])
            at = queueing.at_level(self.demands[k], float(level[k]), workers)
            found.seconds[mine], found.share[mine] = at.seconds, at.share
        return found

    def round_seconds(self, level: FloatArray) -> FloatArray:
        return self.rounds * self.steps(level).seconds

    def cost(self, objective: int, level: FloatArray) -> FloatArray:
        return self.per_second[objective] * self.steps(level).seconds + self.fixed[objective]

    def in_time(self, level: FloatArray) -> BoolArray:
        """bool[N]: C7, the columns whose step keeps the deadline."""
        deadline = self.policy.step_deadline_seconds
        if deadline is None:
            return np.ones(len(self.apart), dtype=bool)
        return self.steps(level).seconds <= deadline

    def at(self, level: FloatArray, objective: int = 0) -> Problem:
        """The integer program at these levels, with one objective's cost."""
        steps = self.steps(level)
        rows = [(r.name, self.asked(r, steps.share, steps.often), self.cap(r)) for r in self.rows]
        cost = self.per_second[objective] * steps.seconds + self.fixed[objective]
        return self.problem(cost, [*self.static_rows, *rows])

    def problem(self, cost: FloatArray, rows: Rows) -> Problem:
        """With these rows alone."""
        names, weights, caps = zip(*rows, strict=True) if rows else ((), (), ())
        table = np.empty((len(names), len(cost)))
        for row, asked in zip(table, weights, strict=True):
            row[:] = asked
        counts, offsets = self.static.counts, self.static.offsets
        return Problem(counts, offsets, cost, table, np.array(caps, dtype=float), names)

    @property
    def static_rows(self) -> list[tuple[str, FloatArray, float]]:
        static = self.static
        return list(zip(static.rows, static.weights, static.caps.tolist(), strict=True))

    def asked(self, row: Row, share: FloatArray, often: FloatArray) -> FloatArray:
        """float64[..., N] of a row of C5 or C6, from shares of the level and steps per second."""
        if row.label == C5_QUEUE:
            asked = share
        elif row.label == C5_COMPUTE:
            asked = self.service * often
        else:
            asked = self.traffic[WAY[row.label]] * often
        alone = isinstance(self.served[row.kind], slice)
        return asked if alone else np.where(self.on[row.kind], asked, 0.0)

    def cap(self, row: Row) -> float:
        """Of a row of C5 or C6, all machines together."""
        workers, use = float(self.servers.accelerators[row.kind]), self.policy.server_utilisation
        cap = {C5_QUEUE: 1.0, C5_COMPUTE: workers * use}.get(row.label, use)
        return float(self.servers.count[row.kind]) * cap

    def shares(self, level: FloatArray) -> FloatArray:
        """float64[R, N]: what a member asks of its machine, as shares of the machine's caps."""
        problem = self.at(level)
        kinds = [*range(len(self.servers)), *(row.kind for row in self.rows)]
        return problem.weights / (problem.caps / self.servers.count[kinds])[:, None]

    def sample(self, groups: IntArray) -> Program:
        """Some of the groups, with the servers' machines shared out by members, so that a machine
        is as full as before."""
        static, columns, share = self.static.part(groups)
        machines = np.asarray(self.servers.count * share, dtype=float)
        servers = replace(self.servers, count=machines)
        return replace(self._take(columns, static), servers=servers)

    def only(self, columns: IntArray) -> Program:
        """Some of the columns, at least one of each group."""
        return self._take(columns, self.static.keep(columns))

    def _take(self, columns: IntArray, static: Problem) -> Program:
        taken = {name: getattr(self, name)[columns] for name in (*MEASURES, *PLACES)}
        names = ("per_second", "fixed", "own_use")
        tables = {name: take_columns(getattr(self, name), columns) for name in names}
        columns_only: dict[str, Any] = {**taken, **tables}
        return replace(self, static=static, **columns_only)


class Row(NamedTuple):
    """A shared limit of all machines of one kind."""

    label: str
    kind: int

    @property
    def name(self) -> str:
        return f"{self.label}[{self.kind}]"
