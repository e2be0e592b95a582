"""`flexp tune`: learning rates for each algorithm, chosen on validation parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RunError
from . import options, render
from . import study_options as study
from .compare import DEFAULT, algorithm_names


def tune(
    fleet: study.FleetArgument,
    data: study.DataOption,
    algorithms: Annotated[
        str,
        typer.Option("--algorithms", metavar="NAME[/WORD...],...", help="As for `flexp compare`."),
    ] = DEFAULT,
    budget: Annotated[
        int, typer.Option("--budget", min=1, max=9, help="Trials of each algorithm.")
    ] = 4,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            metavar="SHARE",
            min=0.01,
            max=0.99,
            help="Of each client's training rows, those to measure on.",
        ),
    ] = 0.25,
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
    head_start: study.HeadStartOption = None,
    lambdas: study.LambdasOption = None,
    bfloat16: study.ComputeOption = False,
    jobs: study.JobsOption = 1,
    rates: Annotated[
        Path, typer.Option("--rates", metavar="FILE", help="Write the rates (.yaml or .json).")
    ] = Path("rates.yaml"),
    output: study.OutputOption = Path("tune"),
    as_json: options.JsonOption = False,
) -> None:
    """Search a small grid of learning rates, the same budget for each algorithm.

    Clients train on some of their training rows and are measured on the others: no test row is
    looked at, and the seed is one that no comparison uses. `flexp compare --rates` takes the
    result.
    """
    render.check_output(rates, "--rates")
    names = algorithm_names(algorithms)
    chosen = study.chosen_options(round_steps=round_steps, head_start=head_start, lambdas=lambdas)
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
        scenario=None,
        folder=output,
    )
    from ..runtime.comparison import tuning
    from .compare_run import complete

    by_name = {
        name: tuning.trial_cells(
            study.cell_of(ground, name, tuning.TUNING_SEED, chosen, bfloat16=bfloat16),
            budget,
            held_out,
        )
        for name in names
    }
    every = [cell for cells in by_name.values() for cell in cells]
    results = complete(every, output, jobs, go_on=True)
    lost = [name for name, cells in by_name.items() if not any(c.key in results for c in cells)]
    if lost:
        raise RunError(
            f"{', '.join(lost)}: no trial ended with numbers that are finite",
            "look at the data, or raise --budget",
        )
    found = tuning.rates_of([tuning.best(cells, results) for cells in by_name.values()], budget)
    render.write_output(found, rates)
    if as_json:
        render.print_json(found)
        return
    table = render.table(
        "algorithm",
        ">body",
        ">head",
        ">validation, %",
        ">of trials",
        title="rates with the best personal accuracy on validation parts",
    )
    for cells in by_name.values():
        cell = tuning.best(cells, results)
        spread = [100 * results[c.key].personal for c in cells if c.key in results]
        table.add_row(
            cell.label,
            f"{cell.options.learning_rate:g}",
            f"{cell.options.head_rate:g}",
            f"{100 * results[cell.key].personal:.1f}",
            f"{min(spread):.1f} to {max(spread):.1f}",
        )
    render.console().print(table)
