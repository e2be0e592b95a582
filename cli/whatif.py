"""`flexp whatif`: the same fleet with something changed, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError
from . import options, render

if TYPE_CHECKING:
    from ..planner.whatif.scenario import Asked

PANEL = "What is changed"

ProfileOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--profile",
        metavar="FILE",
        help="What the fleet trains today: a profile that `flexp profile -o` wrote; again for "
        "each further batch size of the fleet's policy.",
    ),
]
FleetArgument = Annotated[
    Path, typer.Argument(metavar="FLEET.yaml", help="The fleet as it is.", show_default=False)
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="NAME", help="Or a model to profile with the usual settings."),
]
HoursOption = Annotated[
    float,
    typer.Option("--hours", min=0.1, max=24.0, help="Hours of a day in which the fleet trains."),
]
ObjectiveOption = Annotated[
    str, typer.Option("--objective", metavar="LIST", help="As in `flexp plan`.")
]
LimitOption = Annotated[
    float,
    typer.Option(
        "--time-limit", min=0.1, metavar="SECONDS", help="Longest time for each scenario's solver."
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, show_default="all cores", help="Scenarios at the same time."),
]


def whatif(
    fleet: FleetArgument,
    profile: ProfileOption = None,
    base: BaseOption = None,
    scenarios: Annotated[
        Path | None,
        typer.Option(
            "--scenarios", metavar="FILE", rich_help_panel=PANEL, help="A file of scenarios."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="WHO.FIELD=VALUE",
            rich_help_panel=PANEL,
            help="tablets.ram=+4GiB, links.wifi.up=x2, server.accelerators=2, policy.min_depth=2; "
            "a list or a range is a sweep: links.wifi.up=x0.5..x2/4.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            metavar="KEY=NAME",
            rich_help_panel=PANEL,
            help="Clients that go: kind=tablet-2017, name=front-desk, link=lte.",
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="N:DEVICE",
            rich_help_panel=PANEL,
            help="Clients that come: 20:laptop-2019, or 20:laptop-2019@office-wifi.",
        ),
    ] = None,
    servers: Annotated[
        str | None,
        typer.Option(
            "--servers", metavar="N", rich_help_panel=PANEL, help="How many: +1, 3 or 1..4."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", rich_help_panel=PANEL, help="Another model."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", min=1, rich_help_panel=PANEL, help="Another batch size."),
    ] = None,
    hours: HoursOption = 24.0,
    objective: ObjectiveOption = "total",
    time_limit: LimitOption = 10.0,
    jobs: JobsOption = None,
    output: Annotated[Path | None, options.output_option("all figures")] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write a row for each scenario (.csv)."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Plan a fleet as it is and as it could be, and show both and the difference.

    All changes of one command line are one scenario; a range makes one of each value.
    """
    render.check_output(output)
    render.check_output(csv, "--csv", (".csv",))
    asked = _asked(set_ or [], drop or [], add or [], servers, model, batch, scenarios)
    from ..planner.objective import parse_objective
    from ..planner.resolve import read_fleet, read_lookups
    from ..planner.solve import Wanted
    from ..planner.whatif.evaluate import Case, compared
    from ..planner.whatif.scenario import apply, expand, words
    from ..planner.whatif.situation import Names, Situation
    from . import whatif_display, whatif_run

    parse_objective(objective)
    resolved = read_fleet(fleet)
    names = Names(*read_lookups(fleet), fleet.parent)
    today = Situation(resolved, hours_per_day=hours)
    cases = [Case("baseline", today)]
    for one in (each for scenario in asked for each in expand(scenario)):
        found = apply(one, today, names)
        cases.append(Case(one.scenario.name, found, words(one.scenario)))
    profiles = whatif_run.baseline_profiles(profile or [], base, resolved.policy.batches)
    wanted = Wanted(objective=objective, time_limit_seconds=time_limit)
    bench = whatif_run.bench_for(cases, profiles, wanted, jobs or whatif_run.cores())
    first, *others = whatif_run.evaluated(cases, bench)
    blocks = next(iter(profiles.values())).blocks
    made = compared(
        first, others, resolved, blocks, objective, whatif_display.assumptions(resolved, hours)
    )
    if output is not None:
        render.write_output(made, output)
    if csv is not None:
        render.write_bytes(whatif_display.csv_text(made).encode(), csv)
    if as_json:
        render.print_json(made)
    else:
        whatif_display.show(made)


def _asked(
    set_: list[str],
    drop: list[str],
    add: list[str],
    servers: str | None,
    model: str | None,
    batch: int | None,
    path: Path | None,
) -> list[Asked]:
    """Those of the file, and one of the options."""
    from ..planner.whatif.scenario import Asked, Scenario, named, read_scenarios

    found = list(read_scenarios(path)) if path is not None else []
    figures = {}
    for text in set_:
        target, equals, value = text.partition("=")
        if not equals or not value:
            raise FieldError(
                f"--set: {text!r} is not WHO.FIELD=VALUE", "as in --set tablets.ram=+4GiB"
            )
        if target in figures:
            raise FieldError(f"--set: {target} is set twice", "give each figure once")
        figures[target] = value
    scenario = Scenario(
        name="options",
        set=figures,
        drop=tuple(drop),
        add=tuple(add),
        servers=servers,
        model=model,
        batch=batch,
    )
    places: dict[str, object] = {f"set.{t}": f"--set {t}={value}: " for t, value in figures.items()}
    places |= {f"drop.{i}": "--drop: " for i in range(len(drop))}
    places |= {f"add.{i}": "--add: " for i in range(len(add))}
    places["servers"] = "--servers: "
    if scenario.changes:
        found.append(Asked(named(scenario), places))
    if not found:
        raise FieldError(
            "nothing is changed: give --scenarios FILE, or --set, --drop, --add, --servers, "
            "--model or --batch",
            "as in --set tablets.ram=+4GiB or --servers +1",
        )
    return found
