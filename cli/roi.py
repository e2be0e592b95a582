"""`flexp roi`: what training pays, beside the alternatives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from . import options, render
from .whatif import (
    BaseOption,
    FleetArgument,
    HoursOption,
    LimitOption,
    ObjectiveOption,
    ProfileOption,
)

CostsOption = Annotated[
    Path | None,
    typer.Option(
        "--costs",
        metavar="FILE",
        show_default="`flexp catalog costs`",
        help="Your prices, hours, value and discount rate; what it leaves out is as by default.",
    ),
]


def roi(
    fleet: FleetArgument,
    profile: ProfileOption = None,
    base: BaseOption = None,
    costs: CostsOption = None,
    value: Annotated[
        Path | None,
        typer.Option(
            "--value", metavar="FILE", show_default="a measured one", help="What depths are worth."
        ),
    ] = None,
    hours: HoursOption = 24.0,
    objective: ObjectiveOption = "total",
    time_limit: LimitOption = 20.0,
    output: Annotated[Path | None, options.output_option("all figures")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare no model, central fine-tuning, fedavg, new devices and FlexP-SFL by money.

    Net present value, payback, the smallest fleet that pays, and what matters most; every figure
    with what it rests on.
    """
    render.check_output(output)
    from ..planner.objective import parse_objective
    from ..planner.resolve import read_fleet
    from ..planner.roi.costs import read_costs
    from ..planner.roi.lines import Setting
    from ..planner.roi.study import Study
    from ..planner.solve import Wanted
    from ..planner.value import read_curve
    from ..planner.whatif.evaluate import Bench
    from . import roi_display, whatif_run

    parse_objective(objective)
    read, curve, resolved = read_costs(costs), read_curve(value), read_fleet(fleet)
    profiles = whatif_run.baseline_profiles(profile or [], base, resolved.policy.batches)
    first = next(iter(profiles.values()))
    wanted = Wanted(objective=objective, curve=curve, time_limit_seconds=time_limit)
    study = Study(
        Setting(first, resolved, read, curve, hours), Bench({(None, None): profiles}, wanted)
    )
    with whatif_run.counting("planning for other sizes and links: {} plans") as on_done:
        made = replace(study, on_done=on_done).run()
    if output is not None:
        render.write_output(made, output)
    if as_json:
        render.print_json(made)
    else:
        roi_display.show(made)
