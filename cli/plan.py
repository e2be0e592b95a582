"""`flexp plan`: from a fleet and a profile to a choice for each client."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from ..errors import FieldError, MissingExtraError
from . import options, render
from .plan_profiles import profiles_of, smaller_profiles

EXPLAIN = "--explain"
FILE_SUFFIXES = (".yaml", ".yml", ".json")
MATRIX_THREADS = "OPENBLAS_NUM_THREADS"
"""Of numpy, which reads this when it is imported: to start more of them takes longer than all that
the planner multiplies."""


class Command(TyperCommand):
    """`--explain` takes the name of a client, or none: then it is of the whole fleet."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_with_values(args)))


def _with_values(args: list[str]) -> Iterator[str]:
    """An empty value after each --explain without one: at the end, before another option, and
    before the fleet's file."""
    for word, after in itertools.zip_longest(args, args[1:]):
        yield word
        if word == EXPLAIN and (
            after is None or after.startswith("-") or after.endswith(FILE_SUFFIXES)
        ):
            yield ""


StrategyName = Literal["static", "memory-only", "optimized"]
ByName = Literal["auto", "class", "client"]
LOOKS = "How it is shown"


def plan(
    fleet: Annotated[
        Path, typer.Argument(metavar="FLEET.yaml", help="Clients, server and policy.")
    ],
    profile: Annotated[
        list[Path] | None,
        typer.Option(
            "--profile",
            metavar="FILE",
            help="A profile that `flexp profile -o` wrote; again for each further batch size of "
            "the fleet's policy, that of a round first.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", help="Or a model to profile with the options below."
        ),
    ] = None,
    task: options.TaskOption = None,
    labels: options.LabelsOption = None,
    batch: options.BatchOption = None,
    length: options.LengthOption = None,
    method: options.MethodOption = None,
    rank: options.RankOption = None,
    targets: options.TargetsOption = None,
    dtype: options.DtypeOption = None,
    optimizer: options.OptimizerOption = None,
    objective: Annotated[
        str,
        typer.Option(
            "--objective",
            metavar="LIST",
            help="What to minimise, the first before the next: total, slowest, server, cost, "
            "energy, depth, value, bytes; mixed as in total+0.5*energy.",
        ),
    ] = "total",
    slack: Annotated[
        float,
        typer.Option(
            "--slack", min=0.0, help="Share by which an objective may be missed for the next."
        ),
    ] = 0.0,
    value: Annotated[
        Path | None,
        typer.Option(
            "--value",
            metavar="FILE",
            show_default="a measured one",
            help="What depths are worth, for the objective value.",
        ),
    ] = None,
    strategy: Annotated[
        StrategyName,
        typer.Option(
            "--strategy",
            help="One depth for all, the deepest that fits each memory, or the best.",
        ),
    ] = "optimized",
    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit", min=0.1, metavar="SECONDS", help="Longest time for the solver."
        ),
    ] = 60.0,
    output: Annotated[Path | None, options.output_option("the plan")] = None,
    by: Annotated[
        ByName,
        typer.Option(
            "--by",
            rich_help_panel=LOOKS,
            help="A row for each client or class, all of them; auto shows at most 40.",
        ),
    ] = "auto",
    diff: Annotated[
        Path | None,
        typer.Option(
            "--diff",
            metavar="OLD.yaml",
            rich_help_panel=LOOKS,
            help="Show what changes against an earlier plan.",
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="[CLIENT]",
            rich_help_panel=LOOKS,
            help="Say what binds the fleet and what a little more would gain; with a client or "
            "class, what binds it and what one block more or less would cost.",
        ),
    ] = None,
    alternatives: Annotated[
        float | None,
        typer.Option(
            "--alternatives",
            metavar="EPS",
            min=0.0,
            rich_help_panel=LOOKS,
            help="Also plans that miss the first objective by this share at most and are better at "
            "something else; 0.05 is 5%.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            rich_help_panel=LOOKS,
            help="Write a row for each entry of the plan (.csv).",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            rich_help_panel=LOOKS,
            help="Draw who holds which part of the model (.png or .svg).",
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Choose for every client how deep it trains, and how, so that the fleet's rounds take the
    least time, or by another objective.

    Every device's memory, budgets and deadline are kept, and the servers' as well. Ctrl-C ends the
    search with the best plan found.
    """
    os.environ.setdefault(MATRIX_THREADS, "1")
    _check_options(output, csv, plot, slack, time_limit, objective)
    if as_json and sum(one is not None for one in (diff, alternatives, explain)) > 1:
        raise FieldError(
            "--json: prints one of --diff, --alternatives and --explain", "leave the others out"
        )
    given = options.given_settings(
        task, labels, batch, length, method, rank, targets, dtype, optimizer
    )
    from ..planner.objective import parse_objective
    from ..planner.plan import read_plan
    from ..planner.resolve import read_fleet
    from ..planner.solve import Wanted
    from ..planner.value import read_curve

    parse_objective(objective)  # its mistakes before the work
    curve = read_curve(value)
    earlier = read_plan(diff) if diff is not None else None
    resolved = read_fleet(fleet)
    if explain:
        from ..planner.explain_client import check_name

        check_name(resolved, explain)
    profiles = profiles_of(profile or [], model, given, resolved.policy.batches)
    wanted = Wanted(
        objective=objective,
        slack=slack,
        curve=curve,
        time_limit_seconds=time_limit,
        more_profiles=lambda: smaller_profiles(profiles),
    )
    from . import plan_output, plan_search

    made = plan_search.search(strategy, profiles, resolved, wanted)
    reasons = others = None
    if explain is not None:
        from . import plan_explain

        reasons = plan_explain.find(profiles, resolved, wanted, made, explain)
    if alternatives is not None:
        from . import plan_others

        others = plan_others.find(profiles, resolved, wanted, alternatives, made)
    plan_output.write(made, output, csv, plot)
    if as_json:
        plan_output.print_json(made, earlier, reasons, others)
    else:
        plan_output.show(made, by, output, earlier, reasons, others)


def _check_options(
    output: Path | None,
    csv: Path | None,
    plot: Path | None,
    slack: float,
    time_limit: float,
    objective: str,
) -> None:
    """Raise now what would only come to light after the search."""
    render.check_output(output)
    render.check_output(csv, "--csv", (".csv",))
    render.check_output(plot, "--plot", (".png", ".svg"))
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "report")
    for option, number in (("--slack", slack), ("--time-limit", time_limit)):
        if not math.isfinite(number):
            raise FieldError(f"{option}: expected a number, found {number}")
    if slack and "," not in objective:
        raise FieldError(
            f"--slack: has no effect with one objective, {objective!r}",
            "name another one after a comma, as in --objective total,energy --slack 0.05",
        )
