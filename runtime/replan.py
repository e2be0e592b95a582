"""A stopped run under another plan: its checkpoint, rewritten for other depths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ..errors import PlanError
from ..planner.plan import Plan
from . import checkpoint
from .assemble import Job, assemble
from .data import TextData
from .evaluate import accuracy
from .job_tensors import capture, restore
from .observer import Observer
from .records import TrainSettings
from .redeploy import Shift, moved, shifts
from .run_folder import CHECKPOINTS
from .state import ClientState, Move, RunState


def replan(
    found: checkpoint.Found,
    plan: Plan,
    settings: TrainSettings,
    data: TextData,
    folder: Path,
    observer: Observer,
    *,
    upload: bool,
) -> None:
    """Add a checkpoint in which the clients have the depths of `plan`, and say how accurate the
    clients that move were before and are now. With `upload`, what a client leaves to the server
    takes its personal adapters along.

    Raises PlanError where the run can't change so.
    """
    old = found.state.plan
    changes = shifts(old, plan)
    if plan.steps_per_client < settings.steps:
        raise PlanError(
            f"--plan: the new plan promises {plan.steps_per_client} steps a client; the run has "
            f"{settings.steps}",
            "raise policy.steps_per_client in the fleet file and plan again",
        )
    names = [change.client for change in changes]
    tensors = found.tensors()
    job = assemble(old, settings, data, observer.fetch)
    before = _accuracies(job, tensors, names)
    job = assemble(plan, settings, data, observer.fetch)
    tensors = moved(tensors, capture(job), changes, upload=upload)
    after = _accuracies(job, tensors, names)
    moves = tuple(
        _move(change, found.state, plan, upload, before[change.client], after[change.client])
        for change in changes
    )
    for move in moves:
        observer.note(describe(move))
    state = found.state.model_copy(
        update={
            "plan": plan,
            "clients": _clients(found.state, plan),
            "moves": (*found.state.moves, *moves),
        }
    )
    checkpoint.discard(found.damaged)
    checkpoint.save(folder / CHECKPOINTS, state, tensors)


def describe(move: Move) -> str:
    """As in "cy: depth 4 > 2 after 12 steps, ...: accuracy 74.0% > 61.0% on its test rows"."""
    top = f", top {move.top_before} > {move.top}" if move.top_before != move.top else ""
    return (
        f"{move.client}: depth {move.depth_before} > {move.depth}{top} after {move.step} steps, "
        f"{HOW[move.adapters]}: accuracy {move.accuracy_before:.1%} > {move.accuracy:.1%} on its "
        "test rows"
    )


HOW = {
    "received": "with the server's adapters of the new blocks",
    "uploaded": "personal adapters uploaded",
    "left": "personal adapters left on the device, the server starts from the trunk",
}


def _accuracies(job: Job, tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, float]:
    restore(job, tensors)
    batches = {client.name: client.batch for client in job.plan.clients}
    return {
        name: accuracy(job.clients[name], job.batcher.in_order(job.tests.own[name], batches[name]))
        for name in names
    }


def _move(
    change: Shift, state: RunState, plan: Plan, upload: bool, before: float, after: float
) -> Move:
    (old,) = (entry for entry in state.plan.clients if entry.name == change.client)
    (new,) = (entry for entry in plan.clients if entry.name == change.client)
    return Move(
        client=change.client,
        step=state.clients[change.client].next_step,
        depth_before=old.depth,
        depth=new.depth,
        top_before=old.top,
        top=new.top,
        adapters=("uploaded" if upload else "left") if change.to_server else "received",
        accuracy_before=before,
        accuracy=after,
    )


def _clients(state: RunState, plan: Plan) -> dict[str, ClientState]:
    """Steps of another length begin now on the fleet's clock; with another batch, as many are left
    as the samples that are left need."""
    clients = dict(state.clients)
    for old, new in zip(state.plan.clients, plan.clients, strict=True):
        client = clients[new.name]
        update: dict[str, float] = {}
        if old.predicted.step_seconds != new.predicted.step_seconds:
            update |= {"from_step": client.next_step, "from_seconds": state.fleet_seconds}
        if old.batch != new.batch:
            left = (client.steps - client.next_step) * old.batch
            update["steps"] = client.next_step + math.ceil(left / new.batch)
        clients[new.name] = client.model_copy(update=update)
    return clients
