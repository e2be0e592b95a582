"""The search for a plan as someone at a terminal sees it: progress, and Ctrl-C."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import typer

from ..errors import INTERRUPTED, FlexpError
from . import render

if TYPE_CHECKING:
    from ..planner.fleet import ResolvedFleet
    from ..planner.plan import Plan, Strategy
    from ..planner.solve import Wanted
    from ..planner.solver.solve import Progress
    from ..profiler.profile import Profile

SILENT_SECONDS = 2.0
"""A search that is over by then tells no more than that it runs."""
LINE_SECONDS = 5.0
"""Between two lines where stderr is no terminal."""
FRAME_SECONDS = 0.2
"""Between two changes of the line on a terminal."""


def search(
    strategy: Strategy, profiles: Mapping[int, Profile], fleet: ResolvedFleet, wanted: Wanted
) -> Plan:
    """The plan, with its progress on stderr. The first Ctrl-C ends the search with the best plan
    found, the second one interrupts; without any plan by then, exit code 130."""
    from ..planner.strategies import make_plan_by

    watch = Watch(f"planning {fleet.members:,} client{'s' * (fleet.members > 1)}")
    with watch.telling(), watch.listening():
        try:
            asked = replace(wanted, on_progress=watch.on_progress, stop=watch.stop.is_set)
            made = make_plan_by(strategy, profiles, fleet, asked)
        except FlexpError as error:
            if not watch.stop.is_set() or type(error) is not FlexpError:
                raise
            render.note("interrupted before a plan was found")
            raise typer.Exit(INTERRUPTED) from None
    ended = watch.ended(made, wanted.time_limit_seconds)
    if ended:
        render.note(ended)
    return made


class Watch:
    """What is known of a search, and whether it was asked to end."""

    def __init__(self, what: str, on_stop: str = "ending with the best plan found") -> None:
        self.what, self.on_stop = what, on_stop
        self.begun = time.monotonic()
        self.last: Progress | None = None
        self.stop = Event()

    def on_progress(self, progress: Progress) -> None:
        self.last = progress

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def line(self, seconds: float) -> str:
        """ "planning 40 clients, 7 s: best 31.5, bound 31.2, gap 0.95%"."""
        return f"{self.what}, {seconds:.0f} s" + (f": {standing(self.last)}" if self.last else "")

    def ended(self, made: Plan, time_limit_seconds: float) -> str:
        """Why a search stopped short of its proof, and what that leaves open; "" where it did
        not."""
        why = "stopped" if self.stop.is_set() else f"time limit of {time_limit_seconds:g} s"
        if not self.stop.is_set() and self.seconds < time_limit_seconds:
            return ""
        proof = [
            f"at most {found.gap:.2%} above the least {found.name}"
            for found in made.objectives
            if found.status == "feasible"
        ]
        return f"{why}: the best plan found, {' and '.join(proof) or 'proven optimal'}"

    @contextmanager
    def telling(self) -> Iterator[None]:
        """On a terminal one line that changes, elsewhere a line now and then; nothing of what is
        over in a moment."""
        ended = Event()
        teller = Thread(target=self._tell, args=(ended,), daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()

    def _tell(self, ended: Event) -> None:
        if ended.wait(render.MOMENT_SECONDS):
            return
        from rich.text import Text

        console = render.console(stderr=True)
        with console.status(Text(self.what)) as status:
            if console.is_terminal:
                show, every = lambda text: status.update(Text(text)), FRAME_SECONDS
            else:
                show, every = render.note, LINE_SECONDS
            wait = SILENT_SECONDS - render.MOMENT_SECONDS
            while not ended.wait(wait):
                show(self.line(self.seconds))
                wait = every

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For Ctrl-C."""

        def on_signal(number: int, frame: Any) -> None:
            if self.stop.is_set():
                raise KeyboardInterrupt
            self.stop.set()
            render.note(f"{self.on_stop}; Ctrl-C again interrupts")

        previous = signal.signal(signal.SIGINT, on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def standing(progress: Progress) -> str:
    """The best value, its bound and their gap, as far as they are known."""
    bound = f"bound {progress.bound:,.5g}" if math.isfinite(progress.bound) else "no bound yet"
    if not math.isfinite(progress.value):
        return f"no plan yet, {bound}"
    gap = f", gap {progress.gap:.2%}" if progress.gap < 1 else ""
    return f"best {progress.value:,.5g}, {bound}{gap}"
