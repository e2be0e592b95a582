"""The options that several commands share: a model, what its profile assumes, where output goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError

if TYPE_CHECKING:
    from ..profiler.profile import ProfileSettings

# The choices and defaults below repeat profiler/profile.py, which `flexp --help` must not import
# (pydantic is slow to start); tests/cli/test_options.py holds the two together.
TaskName = Literal["classification", "token-classification", "image-classification", "causal-lm"]
MethodName = Literal["lora", "full", "head"]
OptimizerName = Literal["adamw", "sgd"]
DtypeName = Literal["float32", "bfloat16"]

PANEL = "What is trained"

TaskOption = Annotated[
    TaskName | None,
    typer.Option("--task", show_default="classification", rich_help_panel=PANEL),
]
LabelsOption = Annotated[
    int | None,
    typer.Option(
        "--labels", min=1, show_default="20", help="Classes of the head.", rich_help_panel=PANEL
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch", min=1, show_default="16", help="Samples a step.", rich_help_panel=PANEL
    ),
]
LengthOption = Annotated[
    int | None,
    typer.Option(
        "--length", min=1, show_default="64", help="Tokens a sample.", rich_help_panel=PANEL
    ),
]
MethodOption = Annotated[
    MethodName | None,
    typer.Option(
        "--method",
        show_default="lora",
        help="Train adapters and the head, all weights, or the head alone.",
        rich_help_panel=PANEL,
    ),
]
RankOption = Annotated[
    int | None,
    typer.Option(
        "--rank", min=1, show_default="8", help="Rank of the adapters.", rich_help_panel=PANEL
    ),
]
TargetsOption = Annotated[
    str | None,
    typer.Option(
        "--targets",
        metavar="A,B",
        show_default="the architecture's usual ones",
        help="Linear layers with adapters. `projection` adds one on the last block's output.",
        rich_help_panel=PANEL,
    ),
]
DtypeOption = Annotated[
    DtypeName | None,
    typer.Option("--dtype", show_default="float32", rich_help_panel=PANEL),
]

OptimizerOption = Annotated[
    OptimizerName | None,
    typer.Option(
        "--optimizer",
        show_default="adamw",
        help="SGD keeps no state beside the weights, AdamW twice what trains.",
        rich_help_panel=PANEL,
    ),
]

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a complete run.", show_default=False)
]
ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", show_default=False)]
BaseModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER|ID",
        show_default="the run's",
        help="Where the base weights are.",
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="text=BODY,...",
        help="Columns of the file that have other names, for text, label, client and split.",
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and only JSON, to stdout.")]


def output_option(what: str) -> typer.models.OptionInfo:
    return typer.Option("--output", "-o", metavar="FILE", help=f"Write {what} (.yaml or .json).")


def given_settings(
    task: TaskName | None = None,
    labels: int | None = None,
    batch: int | None = None,
    length: int | None = None,
    method: MethodName | None = None,
    rank: int | None = None,
    targets: str | None = None,
    dtype: DtypeName | None = None,
    optimizer: OptimizerName | None = None,
) -> dict[str, object]:
    """The fields of ProfileSettings that the command line names, by field name."""
    names = tuple(part.strip() for part in targets.split(",") if part.strip()) if targets else None
    options: dict[str, object] = {
        "task": task,
        "labels": labels,
        "batch": batch,
        "length": length,
        "method": method,
        "lora_rank": rank,
        "lora_targets": names,
        "dtype": dtype,
        "optimizer": optimizer,
    }
    return {field: value for field, value in options.items() if value is not None}


def settings_from(given: dict[str, object]) -> ProfileSettings:
    """ProfileSettings with its own defaults for everything that was not given.

    Raises FieldError for an option that the other options leave without effect.
    """
    from ..profiler.profile import ProfileSettings

    method, task = given.get("method", "lora"), given.get("task")
    for field, option, without_effect, other in (
        ("lora_rank", "--rank", method != "lora", f"--method {method}"),
        ("lora_targets", "--targets", method != "lora", f"--method {method}"),
        ("labels", "--labels", task == "causal-lm", "--task causal-lm"),
    ):
        if field in given and without_effect:
            raise FieldError(f"{option}: has no effect with {other}", "leave one of the two out")
    return ProfileSettings.model_validate(given)
