"""`flexp train`: run a plan."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import INTERRUPTED, FieldError, PlanError
from . import options, render

if TYPE_CHECKING:
    from ..planner.plan import Plan
    from ..runtime.data import TextData
    from ..runtime.records import Summary, TrainSettings

DATA = "What it learns from"
RATES = "How it learns"


def train(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN.yaml]", help="A plan of `flexp plan -o`; not for --resume."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|FILE",
            help="A catalogue data set, or CSV, TSV, JSONL or Parquet with the columns text and "
            "label, and optionally client and split (train, test).",
            rich_help_panel=DATA,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="text=BODY,label=TOPIC,...",
            help="Columns of the file that have other names, for text, label, client and split.",
            rich_help_panel=DATA,
        ),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition",
            metavar="iid|dirichlet:ALPHA|by:COLUMN",
            show_default="by the client column, else dirichlet:0.3",
            help="How rows are shared out to the clients.",
            rich_help_panel=DATA,
        ),
    ] = None,
    train_samples: Annotated[
        int | None,
        typer.Option(
            "--train-samples",
            min=1,
            show_default="all",
            help="Training rows of a client.",
            rich_help_panel=DATA,
        ),
    ] = None,
    test_samples: Annotated[
        int | None,
        typer.Option(
            "--test-samples",
            min=1,
            show_default="all, at most 100",
            help="Test rows of a client.",
            rich_help_panel=DATA,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME|FOLDER|ID",
            show_default="the plan's",
            help="Where the weights are; the configuration must be the plan's.",
            rich_help_panel=RATES,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            show_default="the plan's",
            help="Steps of each client, at most the plan's.",
            rich_help_panel=RATES,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            show_default="0.003",
            help="Of the adapters.",
            rich_help_panel=RATES,
        ),
    ] = None,
    head_rate: Annotated[
        float | None,
        typer.Option(
            "--head-rate", show_default="0.003", help="Of the heads.", rich_help_panel=RATES
        ),
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            "--alignment",
            metavar="none|constant:X|linear:X|X0,X1,...",
            show_default="none",
            help="λ for each block: how strongly personal adapters are held to the trunk.",
            rich_help_panel=RATES,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, show_default="0", rich_help_panel=RATES)
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            min=1,
            show_default="40",
            help="Steps, of all clients together, between two checkpoints.",
            rich_help_panel=RATES,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The run's folder.")
    ] = Path("run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the stopped run in the folder.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Train every client to its planned depth, with the server training the rest.

    Embedded in this process: the real training, with the fleet's clock taken from the plan.
    Ctrl-C stops after the current step; --resume continues, also after a crash or a power cut.
    """
    from ..runtime.data import parse_columns

    given = {
        name: value
        for name, value in {
            "data": data,
            "columns": None if columns is None else parse_columns(columns),
            "partition": partition,
            "train_samples": train_samples,
            "test_samples": test_samples,
            "model": model,
            "steps": steps,
            "learning_rate": learning_rate,
            "head_rate": head_rate,
            "alignment": alignment,
            "seed": seed,
            "checkpoint_every": checkpoint_every,
        }.items()
        if value is not None
    }
    from ..runtime.run_folder import completed, resume_command
    from .train_display import show_summary

    summary = completed(output) if resume else None
    if summary is not None:
        render.note(f"the run in {output} is complete")
    else:
        summary = _run(output, plan, given, resume, quiet)
    if summary is None:
        render.note(f"stopped; continue with: {resume_command(output)}")
        raise typer.Exit(INTERRUPTED)
    if as_json:
        render.print_json(summary)
    else:
        show_summary(summary, output)


def _run(
    folder: Path, plan: Path | None, given: dict[str, Any], resume: bool, quiet: bool
) -> Summary | None:
    """The run, shown as it goes; None when it was stopped."""
    from .train_display import display

    with display(quiet) as view, _stop_on_interrupt() as stop:
        from ..runtime.train import Observer, train

        observer = Observer(
            note=render.note,
            fetch=view.fetch,
            described=view.described,
            evaluated=view.evaluated,
            stepped=view.stepped,
            should_stop=stop.is_set,
        )
        begin = _resumed if resume else _new
        settled, settings, data = begin(folder, plan, given, view.fetch)
        return train(settled, settings, data, folder, observer, resume=resume)


def _new(
    folder: Path, path: Path | None, given: dict[str, Any], fetch: Any
) -> tuple[Plan, TrainSettings, TextData]:
    from ..catalog.files import content_hash
    from ..planner.plan import read_plan
    from ..runtime.assemble import check_model
    from ..runtime.data import load_data
    from ..runtime.partition import columns_read
    from ..runtime.records import TrainSettings
    from ..runtime.run_folder import check_new

    if path is None:
        raise FieldError("no plan is given", "flexp train plan.yaml --data NAME|FILE")
    if "data" not in given:
        raise FieldError("--data is not given", "--data 20newsgroups, or a CSV with text,label")
    check_new(folder)
    plan = read_plan(path)
    if given.get("steps", 0) > plan.steps_per_client:
        raise PlanError(
            f"--steps: the plan promises {plan.steps_per_client} steps a client, found "
            f"{given['steps']}",
            "raise policy.steps_per_client in the fleet file and plan again",
        )
    check_model(plan, given.get("model", plan.model))
    columns = columns_read(given.get("columns", {}), given.get("partition"))
    data = load_data(given["data"], columns, fetch)
    settings = TrainSettings(
        **{
            "model": plan.model,
            "steps": plan.steps_per_client,
            **given,
            "plan_hash": content_hash(plan),
            "data_hash": data.fingerprint(),
        }
    )
    return plan, settings, data


def _resumed(
    folder: Path, path: Path | None, given: dict[str, Any], fetch: Any
) -> tuple[Plan, TrainSettings, TextData]:
    from ..runtime.data import load_data
    from ..runtime.partition import columns_read
    from ..runtime.run_folder import check_data, check_same, reopen

    plan, settings = reopen(folder, path)
    check_same(settings, given)
    data = load_data(settings.data, columns_read(settings.columns, settings.partition), fetch)
    check_data(settings, data)
    return plan, settings, data


@contextmanager
def _stop_on_interrupt() -> Iterator[Event]:
    """The first Ctrl-C, or the first SIGTERM of a system that shuts down, asks the run to stop
    after its step; a second one interrupts at once."""
    stop = Event()

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        render.note("stopping after this step; Ctrl-C again stops at once")

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, on_signal) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
