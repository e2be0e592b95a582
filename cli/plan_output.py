"""What `flexp plan` writes and prints. What is not asked for is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import render

if TYPE_CHECKING:
    from ..planner.explanation import Alternative
    from ..planner.plan import Plan
    from .plan_display import Shown
    from .plan_explain import Found


def write(made: Plan, output: Path | None, csv: Path | None, plot: Path | None) -> None:
    picture = b""
    if plot is not None:
        from .plan_plot import draw

        picture = draw(made, plot.suffix)  # it may fail: before anything is written
    if output is not None:
        render.write_output(made, output)
    if csv is not None:
        from .plan_display import csv_text

        render.write_bytes(csv_text(made).encode(), csv)
    if plot is not None:
        render.write_bytes(picture, plot)


def print_json(
    made: Plan, earlier: Plan | None, reasons: Found | None, others: Sequence[Alternative] | None
) -> None:
    if earlier is not None:
        from .plan_diff import compare

        render.print_json(compare(earlier, made))
    elif others is not None:
        from . import plan_others

        plan_others.print_json(others)
    elif reasons is not None:
        from . import plan_explain

        plan_explain.print_json(reasons)
    else:
        render.print_json(made)


def show(
    made: Plan,
    by: Shown,
    output: Path | None,
    earlier: Plan | None,
    reasons: Found | None,
    others: Sequence[Alternative] | None,
) -> None:
    from . import plan_display

    if earlier is None:
        plan_display.show(made, by)
    else:
        from . import plan_diff

        plan_diff.show(plan_diff.compare(earlier, made))
    if reasons is not None:
        from . import plan_explain

        plan_explain.show(reasons, made)
    if others is not None:
        from . import plan_others

        plan_others.show(others, made)
    text = f"\nnext: {plan_display.next_command(output)}"
    render.console().print(text, style="bold", markup=False, soft_wrap=True)
