"""What `flexp plan --explain` prints: what binds the fleet or a client, and what else there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import render
from .plan_diff import choice
from .plan_display import figure, seconds
from .plan_search import Watch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..planner.explanation import (
        AbsentExplanation,
        Choice,
        ClientExplanation,
        FleetExplanation,
        Gain,
        StrategyResult,
        Use,
    )
    from ..planner.fleet import ResolvedFleet
    from ..planner.plan import Plan
    from ..planner.solve import Wanted
    from ..profiler.profile import Profile

    Found = FleetExplanation | Sequence[ClientExplanation | AbsentExplanation]

WHOLE_FLEET = ""
"""What `--explain` means without the name of a client."""
NOTHING = "nothing of its own"


def find(
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    wanted: Wanted,
    made: Plan,
    client: str,
) -> Found:
    """Of one client, or of the fleet. Raises FieldError for a client that the fleet hasn't."""
    from ..planner.explain import explain_fleet
    from ..planner.explain_client import explain_client

    if client != WHOLE_FLEET:
        with render.spinner(f"explaining {client}"):
            return explain_client(made, profiles, fleet, client, wanted.curve)
    watch = Watch("explaining the plan", "leaving out what was not planned yet")
    with watch.telling(), watch.listening():
        return explain_fleet(made, profiles, fleet, replace(wanted, stop=watch.stop.is_set))


def print_json(found: Found) -> None:
    from ..planner.explanation import FleetExplanation

    if isinstance(found, FleetExplanation):
        render.print_json(found)
        return
    records = [one.model_dump(mode="json") for one in found]
    sys.stdout.write(json.dumps(records, indent=2) + "\n")


def show(found: Found, made: Plan) -> None:
    from ..planner.explanation import ClientExplanation, FleetExplanation

    to = render.console()
    if isinstance(found, FleetExplanation):
        _show_fleet(to, found)
        return
    units = {objective.name: objective.unit for objective in made.objectives}
    for one in found:
        to.print()
        lines = client_lines(one, units) if isinstance(one, ClientExplanation) else _absent(one)
        to.print(_rows(lines))


def _rows(lines: Iterator[tuple[str, str]]) -> Table:
    from rich.markup import escape

    made = render.rows()
    for label, text in lines:
        made.add_row(label, escape(text))
    return made


def _show_fleet(to: Console, found: FleetExplanation) -> None:
    to.print()
    to.print(use_table(found.shared, "What the servers' limits leave"))
    time = ", ".join(f"{part} {share:.0%}" for part, share in found.time.items())
    to.print(f"the clients' time: {time}\n", markup=False)
    to.print(stop_table(found))
    to.print()
    if found.gains:
        to.print(gain_table(found))
    else:
        to.print("nothing is nearly full: a little more of it would gain nothing")
    to.print()
    to.print(strategy_table(found.strategies, found.objective.name, found.objective.unit))
    for result in found.strategies:
        for line in result.broken:
            to.print(f"{result.strategy}: {line}", markup=False)


def use_table(uses: Sequence[Use], title: str) -> Table:
    from rich.markup import escape

    table = render.table("what", ">used", ">limit", ">full", "label", title=title)
    for use in uses:
        table.add_row(escape(use.what), _of(use, use.used), _of(use, use.limit), _full(use),
                      use.label)  # fmt: skip
    return table


def _full(use: Use) -> str:
    text = f"{use.share:.0%}"
    return f"[bold]{text}[/]" if use.share >= 0.9 else text


def _used(use: Use) -> str:
    if use.unit == "blocks":
        return f"{use.used:g} of {use.limit:g} blocks"
    return f"{_of(use, use.used)} of {_of(use, use.limit)}"


def _of(use: Use, value: float) -> str:
    from ..catalog.units import format_bytes, format_seconds

    if use.unit == "bytes":
        return format_bytes(value)
    if use.unit == "share":
        return f"{value:.1%}"
    if use.unit == "s":
        return format_seconds(value)
    return f"{value:.3g} {use.unit}"


def stop_table(found: FleetExplanation) -> Table:
    from rich.markup import escape

    table = render.table(
        *("label", ">clients", "for example"),
        title="What keeps a device from one block more",
        caption=f"{NOTHING}: the plan as a whole is better without; --explain CLIENT says by how "
        "much",
    )
    for stop in found.stops:
        table.add_row(stop.label or NOTHING, f"{stop.clients:,}", escape(stop.example))
    return table


def gain_table(found: FleetExplanation) -> Table:
    from rich.markup import escape

    name = found.objective.name
    table = render.table(
        *("with", f">{name}", ">change", ">clients"),
        title="What a tenth more would gain, planned again",
        caption="clients: those that do something else; a change below the gap of "
        f"{found.objective.gap:.2%} says nothing",
    )
    for gain in found.gains:
        table.add_row(f"{escape(gain.more)} [dim]{gain.label}[/]", *_gained(gain, found))
    return table


def _gained(gain: Gain, found: FleetExplanation) -> tuple[str, ...]:
    if gain.value is None or gain.change is None:
        return ("no plan in time", "", "")
    share = gain.change / found.objective.value if found.objective.value else 0.0
    return (
        figure(gain.value, found.objective.unit),
        f"{share:+.2%}",
        f"{gain.clients_changed:,}",
    )


def strategy_table(results: Sequence[StrategyResult], name: str, unit: str) -> Table:
    from ..catalog.units import format_bytes

    table = render.table(
        *("strategy", f">{name}", ">slowest", ">compute", ">memory", ">breaks"),
        title="Beside the strategies without an optimizer",
        caption="compute, memory: of the fullest server; breaks: limits",
    )
    for result in results:
        table.add_row(
            result.strategy,
            "–" if result.value is None else figure(result.value, unit),
            "–" if result.slowest_seconds is None else f"{seconds(result.slowest_seconds)} s",
            "–" if result.server_utilisation is None else f"{result.server_utilisation:.0%}",
            "–" if result.server_memory_bytes is None else format_bytes(result.server_memory_bytes),
            "none" if not result.broken else "no plan" if result.value is None else "below",
        )
    return table


def client_lines(found: ClientExplanation, units: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(label, text) of one device."""
    client = found.client
    name = next(client.members)
    alike = f" ({found.members:,} of {client.name} alike)" if found.members > 1 else ""
    step = client.predicted
    yield (
        f"{name}",
        f"{choice(client)}{alike}; a step of {seconds(step.step_seconds)} s: device "
        f"{seconds(step.device_seconds)}, wire {seconds(step.wire_seconds)}, server "
        f"{seconds(step.server_seconds)}, wait {seconds(step.wait_seconds)}",
    )
    for index, use in enumerate(found.uses):
        text = f"{use.share:4.0%}  {use.what}: {_used(use)}"
        yield "limits" if not index else "", f"{text} ({use.label})"
    server_keeps, device_keeps = "the server keeps at least one", "the device keeps at least one"
    yield "one more", _choice_text(found.more, client, units, server_keeps)
    yield "one less", _choice_text(found.less, client, units, device_keeps)
    yield "next best", _next_best(found, units)
    if found.next_deeper not in (found.next_best, found.more):
        none = "no deeper choice keeps every limit"
        yield "next deeper", _choice_text(found.next_deeper, client, units, none)


def _next_best(found: ClientExplanation, units: Mapping[str, str]) -> str:
    tried = f"of {found.allowed:,} others" + (
        f", {found.tried:,} of them tried" if found.tried < found.allowed else ""
    )
    for words, beside in (("one more", found.more), ("one less", found.less)):
        if beside is not None and found.next_best == beside:
            return f"{words} ({tried})"
    none = f"none keeps every limit ({tried})"
    return _choice_text(found.next_best, found.client, units, none, f" ({tried})")


def _choice_text(
    found: Choice | None, before: Any, units: Mapping[str, str], otherwise: str, about: str = ""
) -> str:
    if found is None:
        return otherwise
    what = choice(found.client) + about
    if found.broken:
        broken = list(found.broken)
        more = f"; and {len(broken) - 2} more" if len(broken) > 2 else ""
        return f"{what} breaks a limit: {'; '.join(broken[:2])}{more}"
    changes = ", ".join(
        f"{name} {_signed(change, units[name])}{_share(change, found.values[name])}"
        for name, change in found.change.items()
    )
    was, now = before.predicted.step_seconds, found.client.predicted.step_seconds
    better = "; better than the plan, within its gap" if _main_change(found) < 0 else ""
    return (
        f"{what}: {changes}; its step {seconds(was)} > {seconds(now)} s, the others' together "
        f"{_signed(found.others_seconds, 's')}{better}"
    )


def _main_change(found: Choice) -> float:
    return next(iter(found.change.values()), 0.0)


def _signed(change: float, unit: str) -> str:
    text = figure(abs(change), unit)
    return f"{'-' if change < 0 else '+'}{text}"


def _share(change: float, after: float) -> str:
    before = after - change
    return f" ({100 * change / abs(before):+.3g}%)" if before else ""


def _absent(found: AbsentExplanation) -> Iterator[tuple[str, str]]:
    count = f" ({found.members:,} clients)" if found.members > 1 else ""
    yield found.name, f"takes no part{count}: {found.reason}"
    for index, text in enumerate(found.enough):
        yield "enough is" if not index else "or", text
