"""`flexp train`: run a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import INTERRUPTED
from . import options, render

BadNumbersName = Literal["stop-client", "skip-step", "stop-run"]
DATA = "What it learns from"
RATES = "How it learns"
RESUME = "Going on"
SEEN = "What is seen of it"


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
            "label, and optionally client and split (train, test). By the plan's task: no label "
            "(causal-lm), a tag for each word (token-classification), image paths in the column "
            "image (image-classification).",
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
            help="Rounds, at most the plan's: steps of a client at the profile's batch.",
            rich_help_panel=RATES,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            show_default="0.003, 0.0001 with --method full",
            help="Of the adapters, or of all weights of the blocks and embeddings.",
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
    label_prior: Annotated[
        bool,
        typer.Option(
            "--label-prior",
            help="Adjust logits by each client's label frequencies; `flexp predict --mode` then "
            "tells personal from global.",
            rich_help_panel=RATES,
        ),
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, show_default="0", rich_help_panel=RATES)
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            "--together",
            min=1,
            show_default="1",
            help="Clients that step at the same time, for the server to compute as one batch.",
            rich_help_panel=RATES,
        ),
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
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            "--evaluate-every",
            min=1,
            show_default="before and after training",
            help="Steps of a client between two measurements of its accuracy.",
            rich_help_panel=SEEN,
        ),
    ] = None,
    on_bad_numbers: Annotated[
        BadNumbersName | None,
        typer.Option(
            "--on-bad-numbers",
            show_default="stop-client",
            help="What happens where a client's loss, gradients or labels are no use.",
            rich_help_panel=RATES,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The run's folder.")
    ] = Path("run"),
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the stopped run in the folder.", rich_help_panel=RESUME
        ),
    ] = False,
    new_plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="PLAN.yaml",
            help="With --resume: go on under another plan, with other depths.",
            rich_help_panel=RESUME,
        ),
    ] = None,
    allow_adapter_upload: Annotated[
        bool,
        typer.Option(
            "--allow-adapter-upload",
            help="With --plan: personal adapters of blocks that go to the server go with them; "
            "otherwise they stay on the device, and accuracy may drop.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Event files for TensorBoard in the run's folder.",
            rich_help_panel=SEEN,
        ),
    ] = False,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow",
            help="A run of MLflow, where MLFLOW_TRACKING_URI says.",
            rich_help_panel=SEEN,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress display.", rich_help_panel=SEEN),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Train every client to its planned depth, with the server training the rest.

    Embedded in this process: the real training, with the fleet's clock taken from the plan.
    Ctrl-C stops after the current step; --resume continues, also after a crash or a power cut.
    """
    from ..runtime.data import parse_columns
    from ..runtime.run_folder import completed, resume_command
    from .train_run import Order, carry_out
    from .train_summary import show_summary

    given = {
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
        "label_prior": label_prior or None,
        "seed": seed,
        "together": together,
        "checkpoint_every": checkpoint_every,
        "evaluate_every": evaluate_every,
        "on_bad_numbers": on_bad_numbers,
    }
    order = Order(
        folder=output,
        plan=plan,
        given={name: value for name, value in given.items() if value is not None},
        resume=resume,
        new_plan=new_plan,
        adapter_upload=allow_adapter_upload,
        trackers=tuple(n for n, on in (("tensorboard", tensorboard), ("mlflow", mlflow)) if on),
        quiet=quiet,
    )
    summary = completed(output) if resume and new_plan is None else None
    if summary is not None:
        render.note(f"the run in {output} is complete")
    else:
        summary = carry_out(order)
    if summary is None:
        render.note(f"stopped; continue with: {resume_command(output)}")
        raise typer.Exit(INTERRUPTED)
    if as_json:
        render.print_json(summary)
    else:
        show_summary(summary, output)
