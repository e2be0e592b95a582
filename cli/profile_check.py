"""`flexp profile --check`: the predicted memory of clients beside what real processes take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import FieldError, PredictionError, RunError
from . import render

if TYPE_CHECKING:
    from rich.table import Table

    from ..profiler.placement import Placement
    from ..profiler.profile import Profile, ProfileSettings
    from ..runtime.check import MemoryCheck

CAPTION = (
    "Peak resident memory of a client process that trains here: its part of the checkpoint where "
    "the model is a folder with weights, else random ones; an echo for a server; the allocator "
    "pinned as flexp train pins it. Predicted: the profile's figures and a "
    "process of {process}, measured here. It holds where predicted is at most {over:.0%} above "
    "measured and {under:.0%} below."
)
NOT_RUN = " Not run: depths that need more than the {usable} that this machine has to use."


def asked_depths(text: str | None, check: bool) -> tuple[int, ...]:
    """ "1,3,5" -> (1, 3, 5), in rising order, each once; without a text, none.

    Raises FieldError, also where nothing is to be checked.
    """
    if text is None:
        return ()
    if not check:
        raise FieldError("--depths: has no effect without --check", "add --check")
    words = [word.strip() for word in text.split(",")]
    wrong = [word for word in words if not (word.isascii() and word.isdigit())]
    if wrong:
        raise FieldError(
            f"--depths: {wrong[0]!r} is not a depth, in {text!r}",
            "give whole numbers with commas between them, as in --depths 1,3,5",
        )
    return tuple(sorted({int(word) for word in words}))


def placements_to_check(
    found: Profile, template: Placement, depths: Sequence[int]
) -> list[Placement]:
    """`template` at each of `depths`; without any, at the shallowest, the middle and the deepest.

    Raises PlanError for a depth that the model can't take.
    """
    from ..profiler.placement import divide
    from ..runtime.check import depths_to_check

    chosen = depths or depths_to_check(found.blocks, template.top)
    placements = [replace(template, depth=depth) for depth in chosen]
    for placement in placements:
        divide(found, placement)
    return placements


def run(found: Profile, placements: Sequence[Placement], as_json: bool) -> None:
    """Check the placements and print how they did. Raises PredictionError where one is off, or none
    could be run; RunError where a process fails."""
    check = measure(found, placements)
    if as_json:
        render.print_json(check)
    else:
        to = render.console()
        to.print()
        to.print(check_table(check, found))
    _raise_unless_it_holds(check)


def measure(found: Profile, placements: Sequence[Placement]) -> MemoryCheck:
    """Train a client process for each placement that fits this machine, with a line on stderr for
    each."""
    from ..catalog.units import format_bytes
    from ..profiler.costs import client_peak_bytes
    from ..profiler.limits import usable_memory
    from ..runtime.check import check_memory

    render.note("measuring a training process without its model")
    checkpointing = any(placement.checkpointing for placement in placements)
    runtime_bytes = _runtime_bytes(found.settings, checkpointing)

    def started(placement: Placement) -> None:
        need = format_bytes(client_peak_bytes(found, placement, runtime_bytes))
        render.note(f"depth {placement.depth}: training a client process, {need} predicted")

    usable_bytes = usable_memory().usable_bytes
    return check_memory(found, placements, runtime_bytes, usable_bytes, started)


def _runtime_bytes(settings: ProfileSettings, checkpointing: bool) -> int:
    """A training process without its model, with as many threads as the clients that are run."""
    from ..profiler import probe_runtime
    from ..runtime.check_client import Case

    threads: int = Case.model_fields["threads"].default
    measured, notes = probe_runtime.measure(settings, threads, checkpointing)
    if measured is None:
        raise RunError(
            f"--check: the memory of a training process is unknown here: {notes[0]}",
            "close other programs and try again",
        )
    return measured


def check_table(check: MemoryCheck, found: Profile) -> Table:
    """A row for each depth, those that were not run included."""
    from ..catalog.units import format_bytes
    from ..profiler.costs import client_peak_bytes
    from ..runtime.check import OVER, UNDER

    process, usable = format_bytes(check.runtime_bytes), format_bytes(check.usable_memory_bytes)
    caption = CAPTION.format(process=process, over=OVER, under=UNDER)
    table = render.table(
        *(">depth", ">predicted", ">measured", ">predicted / measured", "holds"),
        title="Memory, predicted and measured here",
        caption=caption + (NOT_RUN.format(usable=usable) if check.too_large else ""),
    )
    rows = {
        case.placement.depth: (
            case.predicted_bytes,
            format_bytes(case.measured_bytes),
            f"{case.ratio:.3f}",
            "yes" if case.holds else "no",
        )
        for case in check.cases
    }
    for placement in check.too_large:
        predicted = client_peak_bytes(found, placement, check.runtime_bytes)
        rows[placement.depth] = (predicted, "-", "-", "not run")
    for depth, (predicted, *cells) in sorted(rows.items()):
        table.add_row(str(depth), format_bytes(predicted), *cells)
    return table


def _raise_unless_it_holds(check: MemoryCheck) -> None:
    from ..catalog.units import format_bytes

    if not check.cases:
        raise PredictionError(
            f"{check.model}: no depth could be checked: each needs more than the "
            f"{format_bytes(check.usable_memory_bytes)} that this machine has to use",
            "check a smaller --batch or --length, or close other programs",
        )
    broken = [case for case in check.cases if not case.holds]
    if broken:
        worst = max(broken, key=lambda case: abs(case.ratio - 1))
        raise PredictionError(
            f"{check.model}: the predicted memory is off at {len(broken)} of "
            f"{len(check.cases)} depths: at depth {worst.placement.depth} it is "
            f"{worst.ratio:.3f} of the measured",
            "please report it, with the output of --check --json and the versions of torch and "
            "transformers",
        )
