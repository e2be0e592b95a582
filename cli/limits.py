"""`flexp limits`: what a fleet carries at most, and what can be had for what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options, render
from .whatif import BaseOption, FleetArgument, LimitOption, ProfileOption

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.whatif.carries import Limits
    from ..planner.whatif.front import Front

WHAT = {
    "model": "largest model",
    "batch": "largest batch",
    "depth": "deepest for all",
    "devices": "devices on its servers",
}


def limits(
    fleet: FleetArgument,
    profile: ProfileOption = None,
    base: BaseOption = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models", metavar="A,B", show_default="the catalogue's", help="Models to try."
        ),
    ] = None,
    time_limit: LimitOption = 5.0,
    output: Annotated[Path | None, options.output_option("all figures")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show the largest model, batch, depth and number of devices that a fleet carries, and what is
    in the way of more; and which times can be had at which cost and depth.
    """
    render.check_output(output)
    from ..catalog.models.entry import model_names
    from ..planner.resolve import read_fleet
    from ..planner.solve import Wanted
    from ..planner.whatif.carries import limits_and_fronts
    from ..planner.whatif.limits import Carrier
    from ..profiler.cache import cached_profile
    from ..profiler.profile import Profile
    from . import whatif_run

    resolved = read_fleet(fleet)
    profiles = whatif_run.baseline_profiles(profile or [], base, resolved.policy.batches)
    settings = next(iter(profiles.values())).settings

    def profiler(name: str, batch: int) -> Profile:
        return cached_profile(name, settings.model_copy(update={"batch": batch}))

    names = [name.strip() for name in models.split(",")] if models else model_names()
    with whatif_run.counting("trying {}") as on_done:
        carrier = Carrier(
            resolved, profiles, profiler, Wanted(time_limit_seconds=time_limit), on_done
        )
        made = limits_and_fronts(carrier, names)
    if output is not None:
        render.write_output(made, output)
    if as_json:
        render.print_json(made)
    else:
        show(made)


def show(made: Limits) -> None:
    from rich.markup import escape

    to = render.console()
    table = render.table(
        *("limit", "at most", "what is in the way of more"),
        title=f"{made.fleet} with {made.model}",
    )
    for one in made.limits:
        way = "; ".join(one.why) if one.why else "nothing, as far as was tried"
        beyond = f"{one.beyond}: " if one.beyond and one.why else ""
        table.add_row(
            WHAT[one.name],
            escape(one.most or "not even the least")
            + (f"\n[dim]{one.note}[/]" if one.note else ""),
            escape(beyond + way),
        )
    to.print(table)
    for front in made.fronts:
        to.print()
        to.print(front_table(front))
    if not made.fronts:
        to.print("\nno plan exists for the fleet as it is: `flexp plan` says why")


def front_table(front: Front) -> Table:
    from ..planner.objective import METRICS
    from .plan_display import figure

    table = render.table(
        *("plan", ">total", f">{front.metric}", ">depth, mean", "on the front"),
        title=f"Time against {front.metric}",
        caption=f"total: {METRICS['total'].meaning}; {front.metric}: {front.meaning}; front: "
        "nothing is better at one of both without being worse at the other"
        + (f"; none found in the time: {', '.join(front.missed)} slower" if front.missed else ""),
    )
    for point in front.points:
        broken = f"[red]breaks {', '.join(point.broken)}[/]"
        table.add_row(
            "" if point.mark == "front" else point.mark,
            figure(point.time, "s"),
            figure(point.other, front.unit),
            f"{point.mean_depth:.2f}",
            "●" if point.on_front else (broken if point.broken else ""),
        )
    return table
