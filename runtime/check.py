"""Whether the memory promise holds here: client processes at several depths, beside a profile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from pydantic import NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from ..errors import RunError
from ..profiler.costs import client_peak_bytes
from ..profiler.placement import Placement
from ..profiler.profile import Profile, ProfileSettings
from .check_client import Case

OVER, UNDER = 0.03, 0.01
"""How far a prediction may be above and below what a real process takes."""
TIMEOUT_SECONDS = 1800.0


class Measured(Contract):
    """One client process; its prediction may be above it by 3% and below it by 1%."""

    placement: Placement
    predicted_bytes: PositiveInt
    measured_bytes: PositiveInt

    @property
    def ratio(self) -> float:
        return self.predicted_bytes / self.measured_bytes

    @property
    def holds(self) -> bool:
        return 1 - UNDER <= self.ratio <= 1 + OVER


class MemoryCheck(Contract):
    """The peak resident memory of real training processes, predicted and measured."""

    model: str
    settings: ProfileSettings
    runtime_bytes: PositiveInt
    """A training process without its model, measured here."""
    usable_memory_bytes: NonNegativeInt
    cases: tuple[Measured, ...]
    too_large: tuple[Placement, ...]
    """Not run: they need more than this machine has to use."""

    @property
    def holds(self) -> bool:
        return all(case.holds for case in self.cases)


def depths_to_check(blocks: int, top: int) -> tuple[int, ...]:
    """The shallowest split, one in the middle and the deepest."""
    deepest = blocks - top - 1
    return tuple(sorted({1, max(1, deepest // 2), deepest}))


def check_memory(
    profile: Profile,
    placements: Sequence[Placement],
    runtime_bytes: int,
    usable_memory_bytes: int,
    started: Callable[[Placement], None],
) -> MemoryCheck:
    """Train a few steps in a client process for each placement that fits; `started` is told each.

    The profile must be of `profile.model`'s real configuration, which the processes load. Raises
    RunError with the process's last words where one fails, PlanError for an impossible placement.
    """
    cases, too_large = [], []
    for placement in placements:
        predicted = client_peak_bytes(profile, placement, runtime_bytes)
        if predicted > usable_memory_bytes:
            too_large.append(placement)
            continue
        started(placement)
        measured = measure(
            Case(model=profile.model, settings=profile.settings, placement=placement)
        )
        cases.append(
            Measured(placement=placement, predicted_bytes=predicted, measured_bytes=measured)
        )
    return MemoryCheck(
        model=profile.model,
        settings=profile.settings,
        runtime_bytes=runtime_bytes,
        usable_memory_bytes=usable_memory_bytes,
        cases=tuple(cases),
        too_large=tuple(too_large),
    )


def measure(case: Case) -> int:
    """Peak resident bytes of a client process; raises RunError where it fails."""
    command = [sys.executable, "-P", "-m", "flexp.runtime.check_client"]
    try:
        run = subprocess.run(
            command,
            input=case.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(
            f"a client process at depth {case.placement.depth} took over {TIMEOUT_SECONDS:.0f} s",
            "check a smaller batch or length",
        ) from None
    if run.returncode != 0:
        last = run.stderr.strip().rpartition("\n")[2] or f"exit status {run.returncode}"
        raise RunError(
            f"a client process at depth {case.placement.depth} failed: {last}",
            "if it was killed, other programs took the memory: close them, or use a smaller batch",
        )
    return int(run.stdout)
