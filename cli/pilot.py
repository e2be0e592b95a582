"""`flexp pilot`: which devices to begin with, what they must show, and whether they did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError, RunError
from . import options, render
from .whatif import BaseOption, HoursOption, LimitOption, ObjectiveOption, ProfileOption

if TYPE_CHECKING:
    from ..planner.pilot.checklist import Pilot


def pilot(
    fleet: Annotated[
        Path | None,
        typer.Argument(metavar="[FLEET.yaml]", help="The fleet as it is.", show_default=False),
    ] = None,
    profile: ProfileOption = None,
    base: BaseOption = None,
    hours: HoursOption = 8.0,
    objective: ObjectiveOption = "total",
    time_limit: LimitOption = 20.0,
    checklist: Annotated[
        Path | None,
        typer.Option(
            "--checklist", metavar="FILE", help="Instead of a fleet: a checklist to go on with."
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FOLDER", help="A complete run whose figures fill in the checklist."
        ),
    ] = None,
    measured: Annotated[
        list[str] | None,
        typer.Option(
            "--measured", metavar="ID=NUMBER", help="A figure to fill in; again for more."
        ),
    ] = None,
    output: Annotated[Path | None, options.output_option("the checklist")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE.md", help="Write it to print.")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Choose the fewest devices that stand for every device class and every link that binds, with
    what to measure, how long, and from when on to stop; fill figures in, and decide.
    """
    render.check_output(output)
    render.check_output(markdown, "--markdown", (".md",))
    if (fleet is None) == (checklist is None):
        found = "neither" if fleet is None else "both"
        raise FieldError(
            f"give either a fleet or --checklist, found {found}",
            "flexp pilot FLEET.yaml --base NAME -o pilot.json makes a checklist, "
            "flexp pilot --checklist pilot.json --run FOLDER goes on with it",
        )
    given = _numbers(measured or [])
    from ..catalog.files import read_contract
    from ..planner.pilot.checklist import Pilot
    from ..planner.pilot.markdown import markdown as written

    if checklist is not None:
        made = read_contract(Pilot, checklist)
    else:
        assert fleet is not None
        made = _made(fleet, profile or [], base, hours, objective, time_limit)
    unknown = [name for name in given if name not in {check.id for check in made.checks}]
    if unknown:
        raise FieldError(
            f"--measured: the checklist has no {unknown[0]!r}",
            "its figures are " + ", ".join(check.id for check in made.checks),
        )
    if run is not None:
        made = made.filled(_of_run(run, made))
    made = made.filled(given)
    if output is not None:
        render.write_output(made, output)
    if markdown is not None:
        render.write_bytes(written(made).encode(), markdown)
    if as_json:
        render.print_json(made)
    else:
        _show(made)


def _made(
    path: Path,
    profile: list[Path],
    base: str | None,
    hours: float,
    objective: str,
    time_limit: float,
) -> Pilot:
    from ..planner.objective import parse_objective
    from ..planner.pilot.make import make_pilot
    from ..planner.resolve import read_fleet
    from ..planner.solve import Wanted
    from ..planner.value import DEFAULT_CURVE
    from . import plan_search, whatif_run

    parse_objective(objective)
    resolved = read_fleet(path)
    profiles = whatif_run.baseline_profiles(profile, base, resolved.policy.batches)
    wanted = Wanted(objective=objective, time_limit_seconds=time_limit)
    plan = plan_search.search("optimized", profiles, resolved, wanted)
    return make_pilot(plan, resolved, DEFAULT_CURVE, hours)


def _numbers(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise FieldError(
                f"--measured: {text!r} is not ID=NUMBER", "as in --measured all.lost=0.04"
            )
    return found


def _of_run(folder: Path, made: Pilot) -> dict[str, float]:
    """What a run of flexp tells of the pilot's devices: bytes, steps that were lost, accuracy.
    Memory and times are a device's own to measure. Raises RunError for a run without an end."""
    from ..runtime.run_folder import completed

    summary = completed(folder)
    if summary is None:
        raise RunError(f"{folder}: no complete run is here", f"flexp train --resume -o {folder}")
    clients = {one.name: summary.clients.get(one.name) for one in made.members}
    there = {name: client for name, client in clients.items() if client is not None}
    if not there:
        raise RunError(
            f"{folder}: none of the pilot's devices is in the run",
            f"they are {', '.join(clients)}; the run has {', '.join(list(summary.clients)[:5])}",
        )
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


def _show(made: Pilot) -> None:
    from rich.markup import escape

    to = render.console()
    table = render.table(
        *("device", "stands for", ">of the fleet", "trains", ">hours"),
        title=f"Pilot of {made.fleet}: {len(made.members)} of {made.devices:,} devices",
        caption=f"at least {made.least_days} days of {made.hours_per_day:g} h and "
        f"{made.least_steps} steps a device; for accuracy all steps",
    )
    for one in made.members:
        table.add_row(
            escape(one.name),
            escape("\n".join(one.stands_for)),
            f"{one.devices:,}",
            f"depth {one.depth}, {one.codec}, batch {one.batch}, {one.steps:,} steps",
            f"{one.hours:.3g}",
        )
    to.print(table)
    to.print()
    checks = render.table(
        *("figure", ">expected", ">go to", ">stop at", ">measured", ""),
        title="What to measure",
        caption="; ".join(dict.fromkeys(f"{c.id.split('.')[-1]}: {c.what}" for c in made.checks)),
    )
    for check in made.checks:
        checks.add_row(
            escape(check.id),
            f"{check.expected:g} {check.unit}".strip(),
            f"{check.go:g}",
            f"{check.stop:g}",
            "" if check.measured is None else f"{check.measured:.4g}",
            "" if check.verdict == "open" else check.verdict,
        )
    to.print(checks)
    to.print()
    outcome = made.outcome
    to.print(f"{outcome.decision}: {'; '.join(outcome.reasons)}", style="bold", markup=False)
