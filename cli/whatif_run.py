"""Scenarios as someone at a terminal runs them: profiles by model and batch, and progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FieldError
from . import render
from .plan_profiles import profiles_of

if TYPE_CHECKING:
    from ..planner.solve import Wanted
    from ..planner.whatif.evaluate import Bench, Case, Training
    from ..planner.whatif.outcome import Outcome
    from ..profiler.profile import Profile

LINE_SECONDS = 5.0
"""Between two lines where stderr is no terminal."""


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def baseline_profiles(
    paths: Sequence[Path], base: str | None, batches: tuple[int, ...]
) -> dict[int, Profile]:
    """By batch size, a round's first; raises as `profiles_of`."""
    if not paths and base is None:
        raise FieldError(
            "give either --profile or --base: what the fleet trains today",
            "--base minilm-l6 profiles a model of the catalogue; --model and --batch are for the "
            "scenario",
        )
    if paths and base is not None:
        raise FieldError("give either --profile or --base, found both", "leave one of them out")
    return profiles_of(paths, base, {}, batches)


def bench_for(
    cases: Sequence[Case], base: Mapping[int, Profile], wanted: Wanted, jobs: int
) -> Bench:
    """With the profiles of every model and batch that the cases train; a model's settings are
    those of the baseline. Raises as `cached_profile`."""
    from ..planner.whatif.evaluate import Bench
    from ..profiler.cache import cached_profile

    found: dict[Training, Mapping[int, Profile]] = {(None, None): base}
    first = next(iter(base.values()))
    for case in cases:
        model, batch = case.training
        if case.training in found:
            continue
        samples = first.settings.batch * case.situation.fleet.policy.steps_per_client
        if batch is not None and batch > samples:
            raise FieldError(
                f"scenario {case.name!r}: batch {batch:,} is more than the {samples:,} samples "
                "of a client's run",
                "choose a smaller batch, or more steps_per_client",
            )
        sizes = (first.settings.batch, batch) if batch is not None else tuple(base)
        name = model or first.model
        with render.late_spinner(f"profiling {name}"):
            found[case.training] = {
                size: base[size]
                if model is None and size in base
                else cached_profile(name, first.settings.model_copy(update={"batch": size}))
                for size in dict.fromkeys(sizes)
            }
    return Bench(found, wanted, jobs)


def evaluated(cases: Sequence[Case], bench: Bench) -> list[Outcome]:
    """The outcomes in order, with progress on stderr."""
    from ..planner.whatif.evaluate import evaluate

    with counting(f"scenario {{}} of {len(cases):,}") as on_done:
        return evaluate(cases, bench, on_done)


@contextmanager
def counting(text: str) -> Iterator[Callable[[int | str], None]]:
    """Tells how far a work is: on a terminal in one line that changes, elsewhere now and then.
    `text` holds a {} for a number or a step."""
    from rich.text import Text

    console = render.console(stderr=True)
    last = time.monotonic()
    with console.status(Text(text.format("..."))) as status:

        def on_done(done: int | str) -> None:
            nonlocal last
            said = done if isinstance(done, str) else f"{done:,}"
            if console.is_terminal:
                status.update(Text(text.format(said)))
            elif time.monotonic() - last > LINE_SECONDS:
                last = time.monotonic()
                render.note(text.format(said))

        yield on_done
