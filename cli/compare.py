"""`flexp compare`: algorithms side by side over the same steps, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError, MissingExtraError
from . import options, render
from . import study_options as study

if TYPE_CHECKING:
    from ..runtime.comparison.cell import Cell
    from ..runtime.comparison.rates import Rates

DEFAULT = "flexp-sfl,local,fedavg,splitfed-v1,splitfed-v2"
LOOKS = "What is seen of it"


def compare(
    fleet: study.FleetArgument,
    data: study.DataOption,
    algorithms: Annotated[
        str,
        typer.Option(
            "--algorithms",
            metavar="NAME[/WORD...],...",
            help="Of flexp-sfl, local, fedavg, splitfed-v1, splitfed-v2, fedper, fedavg+ft, "
            "central; the first is what the others are held against. Any may have /prior, the "
            "label-prior adjustment, and /projection, an adapter on the last block's output; "
            "flexp-sfl has /personal, /aligned, /prox, /feature, /both.",
        ),
    ] = DEFAULT,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0 to N - 1.")] = 5,
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths",
            metavar="D1,D2,...",
            help="Instead: the first algorithm, a flexp-sfl, with all clients at each of these "
            "depths. Writes value.yaml, for `flexp plan --value`.",
        ),
    ] = None,
    model: study.ModelOption = None,
    profile: study.ProfileOption = None,
    strategy: study.StrategyOption = None,
    plan: study.PlanOption = None,
    length: options.LengthOption = None,
    batch: options.BatchOption = None,
    method: options.MethodOption = None,
    rank: options.RankOption = None,
    targets: options.TargetsOption = None,
    columns: study.ColumnsOption = None,
    partition: study.PartitionOption = None,
    train_samples: study.TrainSamplesOption = None,
    test_samples: study.TestSamplesOption = None,
    steps: study.StepsOption = None,
    round_steps: study.RoundOption = None,
    learning_rate: study.LearningRateOption = None,
    head_rate: study.HeadRateOption = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates",
            metavar="FILE",
            help="Learning rates by algorithm, as `flexp tune -o` writes them.",
            rich_help_panel=study.RATES,
        ),
    ] = None,
    head_start: study.HeadStartOption = None,
    lambdas: study.LambdasOption = None,
    scenario: study.ScenarioOption = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target",
            min=0.0,
            max=1.0,
            show_default="what every algorithm reaches",
            help="Personal accuracy to which the time is taken, 0 to 1.",
        ),
    ] = None,
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            "--evaluate-every",
            min=1,
            show_default="a quarter of the steps",
            help="Steps of a client between two measurements.",
        ),
    ] = None,
    global_rows: Annotated[
        int | None,
        typer.Option(
            "--global-rows",
            min=1,
            show_default="20",
            help="Test rows of each client in everyone's test set.",
        ),
    ] = None,
    bfloat16: study.ComputeOption = False,
    jobs: study.JobsOption = 1,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the table.", rich_help_panel=LOOKS),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png|svg", help="Draw it.", rich_help_panel=LOOKS),
    ] = None,
    output: study.OutputOption = Path("compare"),
    as_json: options.JsonOption = False,
) -> None:
    """Train a fleet with each algorithm and seed, and compare accuracy, traffic, device work and
    time on the fleet's clock.

    Every algorithm gets the same model, rows and number of optimiser steps. Results are kept in the
    folder: the same command again goes on where it was interrupted, and adds what is new.
    """
    render.check_output(csv, "--csv", (".csv",))
    render.check_output(plot, "--plot", (".png", ".svg"))
    if plot is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("--plot", "report")
    if depths is not None:
        for option, value in (("--csv", csv), ("--plot", plot), ("--target", target)):
            if value is not None:
                raise FieldError(f"{option}: has no effect with --depths", "leave it out")
    names = algorithm_names(algorithms)
    chosen = study.chosen_options(
        round_steps=round_steps,
        learning_rate=learning_rate,
        head_rate=head_rate,
        head_start=head_start,
        lambdas=lambdas,
    )
    from ..runtime.comparison.rates import read_rates

    by_algorithm = read_rates(rates) if rates else None
    study.check_folder(output)
    study.check_algorithms(names, chosen)
    ground = study.common_ground(
        fleet,
        profile=profile,
        model=model,
        given=options.given_settings(
            length=length, batch=batch, method=method, rank=rank, targets=targets
        ),
        strategy=strategy,
        plan=plan,
        data=data,
        columns=columns,
        partition=partition,
        train_samples=train_samples,
        test_samples=test_samples,
        steps=steps,
        scenario=scenario,
        folder=output,
    )
    more: dict[str, object] = {"bfloat16": bfloat16}
    if evaluate_every is not None:
        more["evaluate_every"] = evaluate_every
    if global_rows is not None:
        more["global_rows"] = global_rows
    from .compare_run import complete, depth_cells, write_curve

    if depths is not None:
        wanted = _depths(depths, ground.profile.blocks, max(m.top for m in ground.members.values()))
        cells = depth_cells(ground, names[0], wanted, seeds, chosen, more)
    else:
        cells = [
            study.cell_of(ground, name, seed, chosen, **more)
            for seed in range(seeds)
            for name in names
        ]
    if by_algorithm is not None:
        cells = [_with_rates(cell, by_algorithm) for cell in cells]
    results = complete(cells, output, jobs)
    if depths is not None:
        write_curve(cells, results, ground, output / "value.yaml", as_json)
        return
    from ..runtime.comparison.table import csv_text, make_table

    ordered = [results[cell.key] for cell in cells]
    table = make_table(ordered, target)
    from .compare_display import show

    if csv is not None:
        render.write_bytes(csv_text(table).encode(), csv)
    if plot is not None:
        from .compare_plot import draw

        render.write_bytes(draw(table, ordered, plot.suffix), plot)
    if as_json:
        render.print_json(table)
    else:
        show(table)


def algorithm_names(text: str) -> list[str]:
    """As typed, separated by commas. Raises FieldError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        what = "names none" if not names else "names one twice"
        raise FieldError(f"--algorithms {text!r}: {what}", f"as in --algorithms {DEFAULT}")
    return names


def _depths(text: str, blocks: int, top: int) -> Sequence[int]:
    try:
        depths = sorted({int(item) for item in text.split(",")})
    except ValueError:
        depths = []
    most = blocks - top - 1
    if not depths or not 1 <= depths[0] <= depths[-1] <= most:
        raise FieldError(
            f"--depths {text!r}: expected numbers from 1 to {most}", "as in --depths 1,3,5"
        )
    return depths


def _with_rates(cell: Cell, rates: Rates) -> Cell:
    return cell.model_copy(update={"options": rates.applied(cell.label, cell.options)})
