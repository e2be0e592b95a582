"""The best choice so far, and better ones from choices that don't keep the limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .goal import Goal
from .links import with_own_traffic
from .program import C5_COMPUTE, C6_DOWN, C6_UP, Program
from .queues import filled, holds
from .solver.clock import Clock
from .solver.core import PROVEN_GAP
from .solver.problem import FloatArray, IntArray
from .trial import try_choices

GAP = 0.8 * PROVEN_GAP
"""The search goes on to this."""
RISE, FILLED = 1.25, 0.99
"""Factor between the levels that are tried one after the other; the share of a level that a choice
makes itself where its queues are full."""
TRIES = 10
NEAR = 0.02
"""Links' uses that differ by less tell what a choice asks too much; further apart, they tell where
to look."""
MOST = 2.0
"""No row's cap is divided by more at once."""
CLOSE = 1e-6
"""What differs by less is worth a closer look."""
ROWS_OF_STEPS = (C5_COMPUTE, C6_UP, C6_DOWN)
"""What a choice asks of these rises as its queues and links empty."""


class Tried(NamedTuple):
    """A choice, int64[N], the program at its traffic, its levels, what it asks of the rows there as
    shares of their caps, and whether it keeps all limits."""

    x: IntArray
    own: Program
    level: FloatArray
    asked: FloatArray
    keeps: bool


class Best:
    """`x`, int64[N], keeps all limits; `own` is the program at its traffic, `level` its levels."""

    def __init__(
        self, goal: Goal, program: Program, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self.goal, self.program, self.clock, self.on_change = goal, program, clock, on_change
        self.seeker = goal
        """What looks for choices; it may look for any."""
        self.x: IntArray | None = None
        self.own, self.level = program, np.zeros(len(program.servers))
        self.value = math.inf
        self.gap, self.grid = GAP, goal.grid
        self.latest: Tried | None = None
        """The last choice that was found at given levels, or the best one."""
        self._tried = set[bytes]()

    @property
    def target(self) -> float:
        """What costs at least this much is not worth looking for."""
        return self.value - self.gap * abs(self.value) if self.x is not None else math.inf

    @property
    def better(self) -> float:
        """What a choice costs less than that is worth looking for: where values lie on a grid, less
        than the target."""
        if self.grid is None or self.x is None:
            return self.target
        return min(self.target, self.grid.below(self.value))

    def find(self, start: FloatArray) -> None:
        """A choice at levels that are about the best, on empty links, or else on full ones. As long
        as it fills the queues there, and better ones are found at higher levels, so on at these."""
        full = np.full_like(self.program.link_use, self.program.policy.server_utilisation)
        for program in (self.program, self.program.at_most(full)):
            if self.x is None:
                self._descend(program, start)
        level, most = start, self.program.most_level
        while (self.level > FILLED * level).any() and (level < most).any():
            level, aim = np.minimum(level * RISE, most), self.target
            self._descend(self.own, level)
            if self.value >= aim:
                return

    def offer(self, x: IntArray, columns: IntArray | None = None) -> Tried:
        """A choice, of some columns of the program where these are given."""
        if columns is not None:
            full = np.zeros(len(self.program.apart), dtype=np.int64)
            full[columns] = x
            x = full
        self._tried.add(_key(x, None))
        return self._try(x, *with_own_traffic(self.program, x))

    def offer_all(self, counts: IntArray, columns: IntArray | None = None) -> None:
        """As `offer` does each, int64[M, N]; those that may be better are looked at closely."""
        program = self.program if columns is None else self.program.only(columns)
        trial = try_choices(program, counts)
        value = np.where(trial.settled, self.goal.values(program, trial), -math.inf)
        fits = (trial.filled <= 1 + CLOSE) | ~trial.settled
        self._tried.update(_key(x, columns) for x in counts)
        for i in np.argsort(value, kind="stable"):
            if fits[i] and value[i] <= self._worth_a_look:
                self.offer(counts[i], columns)

    @property
    def _worth_a_look(self) -> float:
        if self.grid is None:
            return self.value + CLOSE * abs(self.value)
        return self.value - self.grid.apart / 2

    def improve(self, tried: Tried) -> None:
        """Choices near one, each near the one before, as long as they get better or don't keep the
        limits yet."""
        for _ in range(TRIES):
            aim = self.target
            x = self.seeker.near(tried.own, tried.x, tried.level)
            if x is None or self.tried(x) or self.clock.over():
                return
            tried = self.offer(x)
            if tried.keeps and not self.value < aim < math.inf:
                return

    def tried(self, x: IntArray, columns: IntArray | None = None) -> bool:
        """Whether a choice, of some columns where these are given, was offered before."""
        return _key(x, columns) in self._tried

    def margins(self, asked: FloatArray) -> FloatArray:
        """float64[R]: by what to divide the caps of rows, so that the next choice asks no more than
        there is."""
        rows = [*self.program.static.rows, *(row.label for row in self.program.rows)]
        return np.where(np.isin(rows, ROWS_OF_STEPS), np.clip(asked, 1.0, MOST), 1.0)

    def _descend(self, program: Program, level: FloatArray) -> None:
        """Choices at `level` and the program's traffic, then at what each of them makes: queues and
        links that are shorter and emptier, where more may be asked of C5_server_compute and C6.
        What a choice asks too much of these is kept free for the next one."""
        margins, before = np.ones(len(program.static.caps) + len(program.rows)), self.value
        for _ in range(TRIES):
            x = self.seeker.solve(program, level, margins)
            if x is None:
                return
            last, aim = self.value, self.target
            found = self._try(x, *with_own_traffic(program, x))
            own, lower, keeps = found.own, found.level, found.keeps
            if self.x is None:
                self.latest = found
            settled = np.allclose(own.elsewhere, program.elsewhere, rtol=1e-6)
            gained = self.value < aim
            if (keeps and settled) or (not gained and (keeps or last < before)):
                return
            if not keeps and np.abs(own.link_use - program.link_use).max() < NEAR:
                margins /= self.margins(found.asked)
            use = (own.link_use + program.link_use) / 2
            program, level = own.with_use(use), np.minimum(lower, level)

    def _try(self, x: IntArray, own: Program, level: FloatArray) -> Tried:
        """A choice at its own traffic and levels; it becomes the best where it is better."""
        asked = filled(own, x, level)
        tried = Tried(x, own, level, asked, holds(own, x, level, asked))
        value = self.goal.value(own, x, level)
        if tried.keeps and value < self.value:
            self.x, self.own, self.level, self.value = x, own, level, value
            self.latest = tried
            self.on_change()
        return tried


def _key(x: IntArray, columns: IntArray | None) -> bytes:
    used = np.flatnonzero(x)
    return (used if columns is None else columns[used]).tobytes() + x[used].tobytes()
