"""The files that a report may be made of, each by what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalog.files import Contract, read_contract, read_mapping
from ...errors import FieldError, RunError
from .of_money import roi_section, spend_section
from .of_plan import plan_section
from .of_runs import comparison_section, pilot_section, run_section
from .of_scenarios import limits_section, whatif_section
from .parts import Say, Section

if TYPE_CHECKING:
    from ...planner.plan import Plan

MADE_BY = {
    "plan": ("clients", "server_side"),
    "what-if": ("baseline", "scenarios"),
    "roi": ("alternatives", "tornado"),
    "limits": ("limits", "fronts"),
    "spend": ("baseline", "ranked"),
    "pilot": ("members", "checks"),
    "comparison": ("reference", "rows"),
}
"""Keys that only files of this kind have."""


def section(path: Path, say: Say) -> tuple[Section, Contract]:
    """Of a file, or of the folder of a complete run, and what it holds.

    Raises MissingFileError, SyntaxFileError, FieldError (also for a file of another kind) or
    RunError (a run without an end).
    """
    if path.is_dir():
        return _run(path, say)
    data = read_mapping(path)
    kind = next((kind for kind, keys in MADE_BY.items() if set(keys) <= set(data)), None)
    if kind is None:
        raise FieldError(
            f"{path}: holds none of {', '.join(MADE_BY)}",
            "a report is made of what `flexp plan`, `whatif`, `roi`, `limits`, `spend` and `pilot` "
            "write with -o, `flexp compare --json` prints, or the folder of a run",
        )
    contract, make = _kinds()[kind]
    found = read_contract(contract, path)
    return make(found, say), found


def _kinds() -> dict[str, tuple[type[Contract], Any]]:
    from ...planner.pilot.checklist import Pilot
    from ...planner.plan import Plan
    from ...planner.roi.result import Roi
    from ...planner.whatif.carries import Limits
    from ...planner.whatif.outcome import WhatIf
    from ...planner.whatif.spend import Spend
    from ...runtime.comparison.table import Table

    return {
        "plan": (Plan, plan_section),
        "what-if": (WhatIf, whatif_section),
        "roi": (Roi, roi_section),
        "limits": (Limits, limits_section),
        "spend": (Spend, spend_section),
        "pilot": (Pilot, pilot_section),
        "comparison": (Table, comparison_section),
    }


def _run(folder: Path, say: Say) -> tuple[Section, Contract]:
    from ...planner.plan import read_plan
    from ...runtime.run_folder import PLAN, completed

    summary = completed(folder)
    if summary is None:
        raise RunError(
            f"{folder}: no complete run is here",
            f"`flexp train --resume -o {folder}` goes on with one that was stopped",
        )
    file = folder / PLAN
    plan: Plan | None = read_plan(file) if file.is_file() else None
    return run_section(summary, plan, say), summary
