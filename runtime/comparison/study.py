"""The cells of a study, and running those that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ...catalog.files import read_contract, write_contract
from ...catalog.progress import Progress
from ...errors import FlexpError, PlanError, StepError
from ...planner.fleet import ResolvedFleet
from ...planner.names import member_names
from ...planner.plan import ClientPlan, Plan
from ..data import TextData, load_data
from .cell import Cell, CellResult, DataOrder, Member
from .run_cell import OnStep, run_cell

CELLS = "cells"
"""The folder of results, in a study's folder."""


def members_of(plan: Plan, fleet: ResolvedFleet) -> dict[str, Member]:
    """Every client that takes part, with its device and what the plan gives it.

    Raises PlanError for what a comparison can't have: several servers, or several batch sizes.
    """
    if len(plan.servers) > 1:
        raise PlanError(
            f"{fleet.name} has {len(plan.servers)} servers; a comparison has one",
            "give the fleet file one server",
        )
    entries = {entry.name: entry for entry in plan.expanded().clients}
    members = {}
    for client in fleet.clients:
        for name in member_names(client):
            entry = entries.get(name)
            if entry is not None:
                _check_batch(entry, plan)
                members[name] = Member(
                    device=client.device,
                    link=client.link,
                    depth=entry.depth,
                    top=entry.top,
                    head=entry.head,
                    checkpointing=entry.checkpointing,
                    codec=entry.codec,
                )
    return members


def _check_batch(entry: ClientPlan, plan: Plan) -> None:
    if entry.batch != plan.settings.batch:
        raise PlanError(
            f"{entry.name} has batch {entry.batch}, the round {plan.settings.batch}: algorithms "
            "are compared over the same steps",
            "leave policy.batches out of the fleet file",
        )


def result_path(cell: Cell, folder: Path) -> Path:
    return folder / CELLS / cell.file_name


def finished(cell: Cell, folder: Path) -> CellResult | None:
    """The result of a cell, if it is in the folder. Results are written in one step, so one that
    can't be read was changed by somebody: raises SyntaxFileError or FieldError."""
    path = result_path(cell, folder)
    return read_contract(CellResult, path) if path.exists() else None


class DataSets:
    """Data, read once."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._read: dict[str, TextData] = {}

    def get(self, order: DataOrder, task: str) -> TextData:
        key = order.model_dump_json(include={"name", "columns"})
        if key not in self._read:
            self._read[key] = load_data(
                order.name,
                order.columns,
                self.progress,
                task,  # type: ignore[arg-type]
            )
        return self._read[key]


def complete(cell: Cell, folder: Path, data: DataSets, on_step: OnStep) -> CellResult:
    """Run a cell and keep its result. Errors say which cell it was."""
    rows = data.get(cell.data, cell.profile.settings.task)
    try:
        result = run_cell(cell, rows, data.progress, on_step)
    except FlexpError as error:
        error.message = f"{cell.label}, seed {cell.seed}: {error.message}"
        raise
    write_contract(result, result_path(cell, folder))
    return result


def run_here(
    cells: Iterable[Cell],
    folder: Path,
    data: DataSets,
    on_step: Callable[[Cell, int, int], None],
    on_cell: Callable[[Cell, CellResult], None],
    on_failure: Callable[[Cell, StepError], None],
) -> None:
    """One cell after the other, in this process."""
    for cell in cells:
        try:
            result = complete(cell, folder, data, _telling(cell, on_step))
        except StepError as error:
            on_failure(cell, error)
        else:
            on_cell(cell, result)


def _telling(cell: Cell, on_step: Callable[[Cell, int, int], None]) -> OnStep:
    return lambda done, total: on_step(cell, done, total)


def gather(cells: Sequence[Cell], folder: Path) -> dict[str, CellResult]:
    """The results that are there, by key, in the order of `cells`."""
    found = {cell.key: finished(cell, folder) for cell in cells}
    return {key: result for key, result in found.items() if result is not None}


def with_depth(members: Mapping[str, Member], depth: int) -> dict[str, Member]:
    """Everybody at one depth."""
    return {name: own.model_copy(update={"depth": depth}) for name, own in members.items()}
