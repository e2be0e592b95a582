"""`flexp pilot`: which devices to begin with, what they must show, and whether they did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError
from . import options, render
from .pilot_run import figures_of
from .whatif import BaseOption, HoursOption, LimitOption, ObjectiveOption, ProfileOption

if TYPE_CHECKING:
    from ..planner.pilot.checklist import Pilot
    from ..planner.plan import Plan


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
    here: Annotated[
        str | None,
        typer.Option(
            "--here",
            metavar="DEVICE|server",
            help="What this machine is in the pilot, if it made the run: fills in its step times "
            "and memory, or the server's time.",
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
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Write the plan of the pilot's devices, to run."
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Choose the fewest devices that stand for every device class and every link that binds, with
    what to measure, how long, and from when on to stop; fill figures in, and decide.
    """
    render.check_output(output)
    render.check_output(markdown, "--markdown", (".md",))
    render.check_output(plan, "--plan")
    if (fleet is None) == (checklist is None):
        found = "neither" if fleet is None else "both"
        raise FieldError(
            f"give either a fleet or --checklist, found {found}",
            "flexp pilot FLEET.yaml --base NAME -o pilot.json makes a checklist, "
            "flexp pilot --checklist pilot.json --run FOLDER goes on with it",
        )
    if here is not None and run is None:
        raise FieldError("--here: which run was made here is not said", "add --run FOLDER")
    if plan is not None and fleet is None:
        raise FieldError("--plan: a checklist holds no plan", "give the fleet instead")
    given = _numbers(measured or [])
    from ..catalog.files import read_contract
    from ..planner.pilot.checklist import Pilot
    from ..planner.pilot.markdown import markdown as written

    if checklist is not None:
        made = read_contract(Pilot, checklist)
    else:
        assert fleet is not None
        made, own = _made(fleet, profile or [], base, hours, objective, time_limit)
        if plan is not None:
            render.write_output(own, plan)
    unknown = [name for name in given if name not in {check.id for check in made.checks}]
    if unknown:
        raise FieldError(
            f"--measured: the checklist has no {unknown[0]!r}",
            "its figures are " + ", ".join(check.id for check in made.checks),
        )
    if run is not None:
        made = made.filled(figures_of(run, made, here))
        if here is None:
            render.note("step times, memory and the server stay open: --here says on what it ran")
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
) -> tuple[Pilot, Plan]:
    """And the plan of its devices."""
    from ..planner.objective import parse_objective
    from ..planner.pilot.make import make_pilot, plan_of
    from ..planner.resolve import read_fleet
    from ..planner.solve import Wanted
    from ..planner.value import DEFAULT_CURVE
    from . import plan_search, whatif_run

    parse_objective(objective)
    resolved = read_fleet(path)
    profiles = whatif_run.baseline_profiles(profile, base, resolved.policy.batches)
    wanted = Wanted(objective=objective, time_limit_seconds=time_limit)
    plan = plan_search.search("optimized", profiles, resolved, wanted)
    made = make_pilot(plan, resolved, DEFAULT_CURVE, hours)
    return made, plan_of(made, plan)


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


def _show(made: Pilot) -> None:
    from rich.markup import escape

    from ..catalog.units import format_seconds

    to = render.console()
    table = render.table(
        *("device", "stands for", ">of the fleet", "trains", ">for"),
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
            format_seconds(3600 * one.hours),
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
