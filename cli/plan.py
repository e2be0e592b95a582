"""`flexp plan`: from a fleet and a profile to a depth for each client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FieldError
from . import options, render

if TYPE_CHECKING:
    from rich.table import Table

    from ..planner.plan import ClientPlan, Plan
    from ..profiler.profile import Profile

CAPTION = (
    "depth: blocks that train on the device, of {blocks}; memory: predicted peak and limit; "
    "bytes: up and down in one step; device + wire + server = step: seconds, without queueing"
)


def plan(
    fleet: Annotated[
        Path, typer.Argument(metavar="FLEET.yaml", help="Clients, server and policy.")
    ],
    profile: Annotated[
        Path | None,
        typer.Option("--profile", metavar="FILE", help="A profile that `flexp profile -o` wrote."),
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
    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit", min=0.1, metavar="SECONDS", help="Longest time for the solver."
        ),
    ] = 60.0,
    output: Annotated[Path | None, options.output_option("the plan")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Choose the depth of every client so that the fleet's steps take the least time in total.

    Every device's memory, data budget and deadline is kept, and the server's as well.
    """
    render.check_output(output)
    given = options.given_settings(
        task, labels, batch, length, method, rank, targets, dtype, optimizer
    )
    from ..planner.resolve import read_fleet
    from ..planner.solve import Wanted, make_plan

    resolved = read_fleet(fleet)
    found = _profiles_of(profile, model, given, resolved.policy.batches)
    wanted = Wanted(objective=objective, slack=slack, time_limit_seconds=time_limit)
    with render.spinner(f"planning {resolved.members} clients"):
        made = make_plan(found, resolved, wanted)
    if output is not None:
        render.write_output(made, output)
    if as_json:
        render.print_json(made)
        return
    to = render.console()
    to.print(plan_table(made))
    to.print()
    for line in summary(made):
        to.print(line, markup=False, soft_wrap=True)
    to.print(f"\nnext: {next_command(output)}", style="bold", markup=False, soft_wrap=True)


def _profiles_of(
    path: Path | None, model: str | None, given: dict[str, object], batches: tuple[int, ...]
) -> dict[int, Profile]:
    """By batch size: the profile in `path`, or those of `model`, the batch of the round first.

    Raises FieldError unless exactly one of them is given.
    """
    if path is not None and model is None:
        if given:
            raise FieldError(
                f"--profile: {path} already says what is trained; {', '.join(given)} can't change",
                "leave the other options out, or use --model in place of --profile",
            )
        from ..catalog.files import read_contract
        from ..profiler.profile import Profile

        found = read_contract(Profile, path)
        return {found.settings.batch: found}
    if model is not None and path is None:
        settings = options.settings_from(given)
        from ..profiler.cache import cached_profile

        sizes = dict.fromkeys((settings.batch, *batches))
        with render.spinner(f"profiling {model}"):
            return {
                size: cached_profile(model, settings.model_copy(update={"batch": size}))
                for size in sizes
            }
    raise FieldError(
        f"give exactly one of --profile and --model, found {'both' if path else 'neither'}",
        "--model minilm-l6 profiles a model of the catalogue; --profile takes a file that "
        "`flexp profile MODEL -o profile.json` wrote",
    )


def plan_table(made: Plan) -> Table:
    """Two lines per client, 80 columns: name over device and link, figures beside."""
    table = render.table(
        "client",
        "depth",
        ">memory",
        ">bytes",
        ">step, seconds",
        title=f"{made.model} on {made.fleet}",
        caption=CAPTION.format(blocks=made.blocks),
    )
    for client in made.clients:
        table.add_row(*_cells(client, made.blocks))
    return table


def _cells(client: ClientPlan, blocks: int) -> tuple[str, ...]:
    from rich.markup import escape

    from ..catalog.units import format_bytes

    cost = client.predicted
    return (
        f"{client.name}\n[dim]{escape(f'{client.device}, {client.link}')}[/]",
        render.depth_bar(client.depth, blocks),
        f"{format_bytes(cost.peak_memory_bytes)}\n"
        f"[dim]of {format_bytes(client.memory_limit_bytes)}[/]",
        f"↑{format_bytes(cost.up_bytes_per_step)}\n↓{format_bytes(cost.down_bytes_per_step)}",
        f"[bold]{seconds(cost.step_seconds)}[/]\n[dim]{seconds(cost.device_seconds)} + "
        f"{seconds(cost.wire_seconds)} + {seconds(cost.server_seconds)}[/]",
    )


def seconds(value: float) -> str:
    """Seconds for a narrow column: 0.0354 -> "0.035", 12.34 -> "12.3", 2000 -> "2000"."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def summary(made: Plan) -> list[str]:
    """The servers' load, the objectives with their proofs, and the bottleneck."""
    from ..catalog.units import format_bytes, format_seconds

    up = sum(c.count * c.predicted.up_bytes_per_step for c in made.clients)
    down = sum(c.count * c.predicted.down_bytes_per_step for c in made.clients)
    slowest = next(c for c in made.clients if made.bottleneck in c.members)
    lines = [
        f"total       a step of each of {made.devices} clients: "
        f"↑{format_bytes(up)} ↓{format_bytes(down)}"
    ]
    for server in made.servers:
        lines.append(
            f"server      {server.device}: {format_bytes(server.peak_memory_bytes)} of "
            f"{format_bytes(server.memory_limit_bytes)}; compute {server.utilisation:.0%}, link "
            f"{server.link_utilisation:.0%} (limit {server.utilisation_limit:.0%})"
        )
    for found in made.objectives:
        lines.append(
            f"objective   {found.name}: {found.value:.4g} {found.unit}, proven bound "
            f"{found.bound:.4g} {found.unit}, gap {found.gap:.2%}: {found.status}"
        )
    step = format_seconds(slowest.predicted.step_seconds)
    return [*lines, f"bottleneck  {made.bottleneck}, {step} a step"]


def next_command(output: Path | None) -> str:
    if output is None:
        return "keep the plan with -o plan.yaml, then flexp train plan.yaml"
    return f"flexp train {output} --data FILE.csv"
