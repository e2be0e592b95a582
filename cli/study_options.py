"""The options of commands that train many algorithms: fleet, data, and how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import FieldError, PlanError
from . import render

if TYPE_CHECKING:
    from ..planner.fleet import ResolvedFleet
    from ..planner.plan import Plan
    from ..profiler.profile import Profile
    from ..runtime.comparison.cell import Cell, DataOrder, Member
    from ..runtime.scenario import Scenario

StrategyName = Literal["optimized", "static", "memory-only"]
HeadStartName = Literal["names", "zero"]
DATA = "What they learn from"
RATES = "How they learn"

FleetArgument = Annotated[Path, typer.Argument(metavar="FLEET.yaml", show_default=False)]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="What is trained: it is profiled first.")
]
ProfileOption = Annotated[
    Path | None, typer.Option("--profile", metavar="FILE", help="Or its profile.")
]
StrategyOption = Annotated[
    StrategyName | None,
    typer.Option("--strategy", show_default="optimized", help="How the split depths are chosen."),
]
PlanOption = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="PLAN.yaml",
        help="Or a plan of the same fleet and settings, as `flexp plan -o` wrote it.",
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME|FILE",
        help="A catalogue data set, or a file as for `flexp train`.",
        rich_help_panel=DATA,
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="text=BODY,...",
        help="Columns of the file that have other names.",
        rich_help_panel=DATA,
    ),
]
PartitionOption = Annotated[
    str | None,
    typer.Option(
        "--partition",
        metavar="iid|dirichlet:ALPHA|by:COLUMN",
        show_default="by the client column, else dirichlet:0.3",
        help="How rows are shared out to the clients; drawn again for each seed.",
        rich_help_panel=DATA,
    ),
]
TrainSamplesOption = Annotated[
    int | None,
    typer.Option("--train-samples", min=1, show_default="all", rich_help_panel=DATA),
]
TestSamplesOption = Annotated[
    int | None,
    typer.Option("--test-samples", min=1, show_default="all, at most 100", rich_help_panel=DATA),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        show_default="the fleet's",
        help="Optimiser steps of each client.",
        rich_help_panel=RATES,
    ),
]
RoundOption = Annotated[
    int | None,
    typer.Option(
        "--round-steps",
        min=1,
        show_default="an epoch",
        help="Steps of a client between two averages.",
        rich_help_panel=RATES,
    ),
]
LearningRateOption = Annotated[
    float | None,
    typer.Option("--learning-rate", show_default="0.003", rich_help_panel=RATES),
]
HeadRateOption = Annotated[
    float | None, typer.Option("--head-rate", show_default="0.003", rich_help_panel=RATES)
]
HeadStartOption = Annotated[
    HeadStartName | None,
    typer.Option(
        "--head-start",
        show_default="names",
        help="Heads start at the features of the classes' names, or at zero.",
        rich_help_panel=RATES,
    ),
]
LambdasOption = Annotated[
    str | None,
    typer.Option(
        "--lambdas",
        metavar="constant:X|linear:X|X0,X1,...",
        show_default="constant:0.01",
        help="λ by block, for flexp-sfl/aligned/prox, /feature and /both.",
        rich_help_panel=RATES,
    ),
]
ScenarioOption = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        metavar="FILE.yaml",
        help="Slow devices, outages, dropouts and latecomers (docs/algorithm.md).",
    ),
]
ComputeOption = Annotated[
    bool,
    typer.Option(
        "--bfloat16",
        help="Matrix products in bfloat16: faster on CPUs that have them; weights stay float32.",
    ),
]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", min=1, help="Cells side by side, each with its share of the cores."),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="The study's folder.")
]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all cells of a study have in common."""

    members: dict[str, Member]
    fleet: ResolvedFleet
    profile: Profile
    data: DataOrder
    scenario: Scenario
    steps: int


def common_ground(
    fleet: Path,
    *,
    profile: Path | None,
    model: str | None,
    given: dict[str, object],
    strategy: StrategyName | None,
    plan: Path | None,
    data: str,
    columns: str | None,
    partition: str | None,
    train_samples: int | None,
    test_samples: int | None,
    steps: int | None,
    scenario: Path | None,
    folder: Path,
) -> Ground:
    """Read the fleet and the data, and plan or read the plan. A plan that is made here is kept in
    `folder`, so that the same command finds its results again. Raises what those raise."""
    if plan is not None and strategy is not None:
        raise FieldError("--strategy: has no effect with --plan", "leave one of them out")
    from ..catalog.progress import no_progress
    from ..planner.names import member_names
    from ..planner.resolve import read_fleet
    from ..runtime.comparison.cell import DataOrder
    from ..runtime.comparison.study import members_of
    from ..runtime.data import load_data, parse_columns
    from ..runtime.partition import columns_read
    from ..runtime.scenario import Scenario, read_scenario
    from .plan_profiles import profiles_of

    resolved = read_fleet(fleet)
    profiles = profiles_of([profile] if profile else [], model, given, resolved.policy.batches)
    first = next(iter(profiles.values()))
    if first.settings.task == "causal-lm":
        raise FieldError(
            "algorithms are compared by the labels that they get right; causal-lm has none",
            "choose --task classification",
        )
    names = columns_read(parse_columns(columns) if columns else {}, partition)
    with render.spinner(f"reading {data}"):
        rows = load_data(data, names, no_progress, first.settings.task)
    clients = [name for client in resolved.clients for name in member_names(client)]
    happens = read_scenario(scenario, clients) if scenario else Scenario()
    used = (
        _kept_plan(folder, strategy or "optimized", profiles, resolved)
        if plan is None
        else _given_plan(plan, profiles, resolved)
    )
    return Ground(
        members=members_of(used, resolved),
        fleet=resolved,
        profile=first,
        data=DataOrder(
            name=data,
            hash=rows.fingerprint(),
            columns=names,
            partition=partition,
            train_samples=train_samples,
            test_samples=test_samples,
        ),
        scenario=happens,
        steps=steps or used.steps_per_client,
    )


def _is_of(plan: Plan, profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> bool:
    from ..catalog.files import content_hash

    hashes = {batch: content_hash(profile) for batch, profile in profiles.items()}
    return (plan.fleet_hash, plan.profile_hashes) == (content_hash(fleet), hashes)


def _given_plan(path: Path, profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> Plan:
    from ..planner.plan import read_plan

    plan = read_plan(path)
    if not _is_of(plan, profiles, fleet):
        raise PlanError(
            f"{path} is a plan of another fleet, or of another model or other settings",
            f"plan {fleet.name} with the options under 'What is trained' that are given here",
        )
    return plan


def _kept_plan(
    folder: Path,
    strategy: StrategyName,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
) -> Plan:
    """The plan of an earlier command for the same fleet and profiles, or a new one: of plans that
    are equally good, a search may find any."""
    from ..catalog.files import write_contract
    from ..planner.plan import read_plan
    from ..planner.solve import Wanted
    from . import plan_search

    path = folder / f"plan-{strategy}.yaml"
    if path.exists():
        kept = read_plan(path)
        if _is_of(kept, profiles, fleet):
            return kept
    made = plan_search.search(strategy, profiles, fleet, Wanted())
    write_contract(made, path)
    return made


def check_algorithms(names: Sequence[str], chosen: dict[str, object]) -> None:
    """Raise now what is wrong with a name, its words or the options."""
    from pydantic import ValidationError

    from ..runtime.algorithms.algorithm import Options
    from ..runtime.algorithms.registry import parse_algorithm

    try:
        options = Options.model_validate(chosen)
    except ValidationError as error:
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        raise FieldError(f"{option}: {problem['msg']}, found {problem['input']}") from None
    for name in names:
        parse_algorithm(name, options)


def check_folder(folder: Path) -> None:
    """Raise FieldError where no results can go."""
    if folder.exists() and not folder.is_dir():
        raise FieldError(f"--output: {folder} is a file", "name a folder")


def cell_of(
    ground: Ground, text: str, seed: int, chosen: dict[str, object], **more: object
) -> Cell:
    """The cell of an algorithm as people write it, with fields of Options."""
    from ..runtime.algorithms.algorithm import Options
    from ..runtime.algorithms.registry import parse_algorithm
    from ..runtime.comparison.cell import Cell

    name, parsed = parse_algorithm(text, Options.model_validate(chosen))
    fields = {
        "algorithm": name,
        "options": parsed,
        "seed": seed,
        "data": ground.data,
        "profile": _with_projection(ground.profile) if parsed.projection else ground.profile,
        "members": ground.members,
        "server": ground.fleet.server,
        "steps": ground.steps,
        "scenario": ground.scenario,
        "model": ground.profile.model,
        "evaluate_every": max(1, ground.steps // 4),
    }
    return Cell.model_validate({**fields, **more})


def _with_projection(profile: Profile) -> Profile:
    """Of the same training, with a projection."""
    from ..catalog.models.projection import PROJECTION
    from ..profiler.cache import cached_profile

    settings = profile.settings
    if settings.method != "lora":
        raise FieldError(
            f"--algorithms: a projection is an adapter; --method {settings.method} has none",
            "leave /projection out, or choose --method lora",
        )
    targets = tuple(dict.fromkeys((*settings.lora_targets, PROJECTION)))
    return cached_profile(profile.model, settings.model_copy(update={"lora_targets": targets}))


def chosen_options(**values: object) -> dict[str, object]:
    """Those that were given."""
    return {name: value for name, value in values.items() if value is not None}
