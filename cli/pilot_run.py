"""What a run tells of a pilot's checklist: traffic, lost steps and accuracy wherever it was made;
of the machine that it was made on, its step times and memory too, or the server's time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FieldError, RunError
from . import render

if TYPE_CHECKING:
    from ..planner.pilot.checklist import Pilot
    from ..planner.plan import ClientPlan, Plan
    from ..runtime.records import ClientSummary

SERVER = "server"
MIB = 2**20


def figures_of(folder: Path, made: Pilot, here: str | None) -> dict[str, float]:
    """By the id of their check. `here` is what this machine, which made the run, is in the pilot:
    a device, or "server".

    Raises RunError for a run without an end or of another plan, FieldError for an unknown `here`.
    """
    from ..catalog.files import read_contract
    from ..planner.plan import read_plan
    from ..runtime.records import TrainSettings
    from ..runtime.run_folder import PLAN, SETTINGS, completed

    known = [one.name for one in made.members]
    if here is not None and here not in (*known, SERVER):
        raise FieldError(
            f"--here: {here!r} is no device of the pilot", f"they are {', '.join(known)}; or server"
        )
    summary = completed(folder)
    if summary is None:
        raise RunError(f"{folder}: no complete run is here", f"flexp train --resume -o {folder}")
    there = {name: summary.clients[name] for name in known if name in summary.clients}
    if not there:
        raise RunError(
            f"{folder}: none of the pilot's devices is in the run",
            f"they are {', '.join(known)}; the run has {', '.join(list(summary.clients)[:5])}",
        )
    plan = read_plan(folder / PLAN).expanded()
    entries = {entry.name: entry for entry in plan.clients}
    for member in made.members:
        entry = entries.get(member.name)
        if entry and (entry.depth, entry.batch) != (member.depth, member.batch):
            raise RunError(
                f"{folder}: {member.name} trained at depth {entry.depth} and batch {entry.batch}, "
                f"in the pilot it does at depth {member.depth} and batch {member.batch}",
                "run the plan that `flexp pilot FLEET.yaml --plan FILE` writes",
            )
    found, settings = _of_clients(there), read_contract(TrainSettings, folder / SETTINGS)
    if here == SERVER:
        if settings.together > 1:
            raise RunError(
                f"{folder}: {settings.together} clients stepped together, and waited for each "
                "other too: the server's own time is not known",
                "run without --together",
            )
        expected = next(check.expected for check in made.checks if check.id == "all.server")
        found |= _of_server(
            {name: (client, entries[name]) for name, client in there.items()}, expected
        )
    elif here is not None:
        if here not in there:
            raise RunError(f"{folder}: {here} is not in the run", f"it has {', '.join(there)}")
        found |= _step(there[here], entries[here])
        found[f"{here}.memory"] = _memory(settings.model, plan, entries[here]) / MIB
    return found


def _of_clients(there: dict[str, ClientSummary]) -> dict[str, float]:
    """Which no machine changes."""
    found = {
        f"{name}.bytes": (client.up_bytes_per_step.measured + client.down_bytes_per_step.measured)
        / 1e6
        for name, client in there.items()
    }
    planned = sum(client.steps_planned for client in there.values())
    found["all.lost"] = 1 - sum(client.steps for client in there.values()) / planned
    after = [client.after.personal for client in there.values()]
    before = [client.before.personal for client in there.values()]
    found["all.accuracy"] = sum(after) / len(after)
    found["all.gain"] = found["all.accuracy"] - sum(before) / len(before)
    return found


def _tried(client: ClientSummary) -> int:
    """Steps on which time was spent."""
    return client.steps + client.skipped_steps


def _step(client: ClientSummary, entry: ClientPlan) -> dict[str, float]:
    """The device's own part as measured, wire and server as planned: nothing crosses a network in
    a run of one machine."""
    if client.step_seconds is None or not _tried(client):
        return {}
    own = (client.step_seconds - client.waiting_seconds) / _tried(client)
    predicted = entry.predicted
    rest = predicted.step_seconds - predicted.wait_seconds - predicted.device_seconds
    return {f"{entry.name}.step": own + rest}


def _of_server(
    there: dict[str, tuple[ClientSummary, ClientPlan]], expected: float
) -> dict[str, float]:
    """Its use in the whole fleet's plan, times measured over planned seconds of the same steps."""
    planned = sum(
        _tried(client) * entry.predicted.server_seconds for client, entry in there.values()
    )
    measured = sum(client.waiting_seconds for client, _ in there.values())
    return {"all.server": expected * measured / planned} if planned else {}


def _memory(model: str, plan: Plan, entry: ClientPlan) -> int:
    """Peak bytes of the client's process, which is trained for a few steps: in the run, all clients
    and the server share one."""
    from ..runtime.check import measure
    from ..runtime.check_client import Case

    case = Case(
        model=model,
        settings=plan.settings.model_copy(update={"batch": entry.batch}),
        placement=entry.placement,
        codec=entry.codec,
        micro_batches=entry.micro_batches,
    )
    with render.spinner(f"training the client process of {entry.name}"):
        return measure(case)
