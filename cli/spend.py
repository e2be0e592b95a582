"""`flexp spend`: the one thing worth buying."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from . import options, render
from .roi import CostsOption
from .whatif import (
    BaseOption,
    FleetArgument,
    HoursOption,
    JobsOption,
    LimitOption,
    ObjectiveOption,
    ProfileOption,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.whatif.spend import Purchase, Ranked, Spend

NOTHING = "–"


def spend(
    fleet: FleetArgument,
    profile: ProfileOption = None,
    base: BaseOption = None,
    costs: CostsOption = None,
    hours: HoursOption = 8.0,
    objective: ObjectiveOption = "total",
    time_limit: LimitOption = 10.0,
    jobs: JobsOption = None,
    output: Annotated[Path | None, options.output_option("all figures")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Rank what could be bought for a fleet by the time that it saves for its money.

    Memory for a class, bandwidth for a link, an accelerator, memory or a machine for a server, an
    hour more a day: each is planned anew. For a fleet without a plan, the smallest purchase that
    makes one possible.
    """
    render.check_output(output)
    from ..planner.objective import parse_objective
    from ..planner.resolve import read_fleet
    from ..planner.roi.costs import read_costs
    from ..planner.solve import Wanted
    from ..planner.whatif.evaluate import Bench
    from ..planner.whatif.situation import Situation
    from ..planner.whatif.spend import next_best
    from . import whatif_run

    parse_objective(objective)
    read, resolved = read_costs(costs), read_fleet(fleet)
    profiles = whatif_run.baseline_profiles(profile or [], base, resolved.policy.batches)
    wanted = Wanted(objective=objective, time_limit_seconds=time_limit)
    bench = Bench({(None, None): profiles}, wanted, jobs or whatif_run.cores())
    with whatif_run.counting("{} purchases tried") as on_done:
        made = next_best(Situation(resolved, hours_per_day=hours), read, bench, on_done)
    if output is not None:
        render.write_output(made, output)
    if as_json:
        render.print_json(made)
    else:
        show(made)


def show(made: Spend) -> None:
    to = render.console()
    if made.ranked:
        to.print(ranked_table(made))
    else:
        to.print(f"{made.fleet}: {made.baseline.status}", markup=False)
        for text in made.baseline.why:
            to.print(f"  {text}", markup=False)
        to.print()
        if made.purchase is not None:
            to.print(purchase_table(made, made.purchase))
        else:
            to.print(
                "nothing of this kind that was tried makes a plan possible; `flexp plan` names"
            )
            to.print("other ways out: rules, budgets, whom to leave out")
    to.print()
    lines = render.rows()
    for one in made.assumptions:
        mark = "● " if one.own else ""
        amount = f"{one.amount.normalize():f} {one.currency}".strip()
        source = f"{one.source}, {one.date}" if one.date else one.source
        lines.add_row(f"{mark}{one.name}", _plain(f"{amount}: {source}"))
    to.print(lines)


def ranked_table(made: Spend) -> Table:
    from rich.markup import escape

    table = render.table(
        *(
            "one unit of",
            f">{made.currency}\nonce",
            ">a year",
            ">run\nshorter",
            ">slowest\nshorter",
        ),
        *(">deeper", ">per 100\na year"),
        title=f"{made.fleet}: what to buy next, {made.hours_per_day:g} h a day",
        caption="a year: what is bought spread over its life; shorter: of a client's run, on "
        "average, and of the slowest one's; per 100: what the average saves for 100 "
        f"{made.currency} a year; ● in the list below: your own figure",
    )
    for one in made.ranked:
        if one.saved_days is None:
            table.add_row(escape(one.name), _money(one.once), _money(one.a_year), one.status)
            continue
        table.add_row(
            escape(one.name),
            _money(one.once),
            _money(one.a_year),
            _days(one.saved_days),
            _days(one.finish_saved_days or 0.0),
            f"{one.depth_change:+.2f}" if one.depth_change else "",
            _worth(one),
        )
    return table


def _worth(one: Ranked) -> str:
    if one.per_money is not None:
        return _days(100 * one.per_money)
    return "free" if not one.a_year and (one.saved_days or 0) > 0 else NOTHING


def purchase_table(made: Spend, bought: Purchase) -> Table:
    from rich.markup import escape

    caption = (
        "nothing cheaper of these makes a plan possible"
        if bought.proven
        else "no part of it can be smaller alone; a cheaper mixture may exist"
    )
    table = render.table(
        *("buy", ">times", f">{made.currency} once", ">a year"),
        title="The smallest purchase that makes a plan possible",
        caption=caption,
    )
    for part in bought.parts:
        table.add_row(escape(part.name), f"{part.count}", _money(part.once), _money(part.a_year))
    table.add_row("[bold]all[/]", "", _money(bought.once), _money(bought.a_year))
    return table


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"


def _days(days: float) -> str:
    """With a sign where it gets longer."""
    from ..catalog.units import format_seconds

    seconds = 86400 * days
    if abs(seconds) < 1e-3:
        return "0 s"
    return ("-" if seconds < 0 else "") + format_seconds(abs(seconds))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
