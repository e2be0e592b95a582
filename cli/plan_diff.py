"""What `flexp plan --diff` shows: what changes from one plan to another, by client or class."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import NonNegativeInt, PositiveInt

from ..catalog.files import Contract
from ..planner.plan import ClientPlan, Plan, round_seconds
from . import render
from .plan_display import figure, seconds

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 40
"""Changes with a row of their own."""


class Figure(Contract):
    """Of the whole fleet; none: not in that plan."""

    name: str
    unit: str
    old: float | None
    new: float | None


class Change(Contract):
    """Devices of one client or class that change in the same way."""

    name: str
    count: PositiveInt
    old: str
    """"depth 2, bf16, batch 16, server"; "absent" for taking no part, "not there" for new ones."""
    new: str
    old_step_seconds: float | None
    new_step_seconds: float | None


class PlanDiff(Contract):
    figures: tuple[Figure, ...]
    changes: tuple[Change, ...]
    unchanged: NonNegativeInt
    """Devices that do the same in both plans."""


def compare(old: Plan, new: Plan) -> PlanDiff:
    """Members of a class are told apart by their numbers."""
    before, after = _places(old), _places(new)
    counts: dict[tuple[str, str, str], tuple[int, float | None, float | None]] = {}
    unchanged = 0
    for name in dict.fromkeys([*before, *after]):
        for count, was, now in _overlaps(before.get(name, []), after.get(name, [])):
            if was[0] == now[0]:
                unchanged += count if was[1] is not None else 0
                continue
            key = (name, was[0], now[0])
            counts[key] = (counts.get(key, (0,))[0] + count, was[1], now[1])
    return PlanDiff(
        figures=tuple(_figures(old, new)),
        changes=tuple(
            Change(
                name=name,
                count=count,
                old=was,
                new=now,
                old_step_seconds=old_seconds,
                new_step_seconds=new_seconds,
            )
            for (name, was, now), (count, old_seconds, new_seconds) in counts.items()
        ),
        unchanged=unchanged,
    )


State = tuple[str, float | None]
"""What a device does, and its mean step."""
NOWHERE: State = ("not there", None)


def _places(made: Plan) -> dict[str, list[tuple[int, int, State]]]:
    """By name: members from and up to (not included), and what they do."""
    found: dict[str, list[tuple[int, int, State]]] = {}
    for entry in made.clients:
        state = (choice(entry), entry.predicted.step_seconds)
        found.setdefault(entry.name, []).append((entry.first, entry.first + entry.count, state))
    for away in made.absent:
        span = (away.first, away.first + away.count, ("absent", None))
        found.setdefault(away.name, []).append(span)
    return found


def choice(entry: ClientPlan) -> str:
    """In words, what is usual left out."""
    parts = [f"depth {entry.depth}" + f"+{entry.top}" * (entry.top > 0), entry.codec]
    parts.append(f"batch {entry.batch}")
    if entry.micro_batches > 1:
        parts.append(f"in {entry.micro_batches} parts")
    if entry.head == "server":
        parts.append("head on the server")
    if entry.checkpointing:
        parts.append("checkpointing")
    return ", ".join([*parts, entry.server])


def _overlaps(
    before: list[tuple[int, int, State]], after: list[tuple[int, int, State]]
) -> Iterator[tuple[int, State, State]]:
    edges = sorted({edge for low, high, _ in (*before, *after) for edge in (low, high)})
    for low, high in itertools.pairwise(edges):
        was, now = (
            next((state for start, end, state in spans if start <= low < end), NOWHERE)
            for spans in (before, after)
        )
        yield high - low, was, now


def _figures(old: Plan, new: Plan) -> Iterator[Figure]:
    names = dict.fromkeys((o.name, o.unit) for plan in (old, new) for o in plan.objectives)
    for name, unit in names:
        values = [
            next((o.value for o in plan.objectives if o.name == name), None) for plan in (old, new)
        ]
        yield Figure(name=name, unit=unit, old=values[0], new=values[1])
    for title, unit, of in (
        ("mean round", "s", _mean_round),
        ("slowest round", "s", lambda plan: max(_rounds(plan), default=0.0)),
        ("clients", "", lambda plan: plan.devices),
        ("absent", "", lambda plan: sum(away.count for away in plan.absent)),
        ("server memory", "bytes", lambda plan: sum(s.peak_memory_bytes for s in plan.servers)),
        ("fullest compute", "share", lambda plan: max(s.utilisation for s in plan.servers)),
        ("fullest link", "share", lambda plan: max(s.link_utilisation for s in plan.servers)),
    ):
        yield Figure(name=title, unit=unit, old=of(old), new=of(new))


def _rounds(made: Plan) -> list[float]:
    return [round_seconds(entry, made) for entry in made.clients]


def _mean_round(made: Plan) -> float:
    total = sum(e.count * one for e, one in zip(made.clients, _rounds(made), strict=True))
    return total / made.devices if made.devices else 0.0


def show(found: PlanDiff) -> None:
    to = render.console()
    if found.changes:
        to.print(change_table(found))
        to.print()
    table = render.table("figure", ">before", ">after", ">change", title="Figures")
    for one in found.figures:
        table.add_row(one.name, _text(one.old, one.unit), _text(one.new, one.unit), _share(one))
    to.print(table)
    changed = sum(change.count for change in found.changes)
    some = "1 client changes" if changed == 1 else f"{changed:,} clients change"
    stay = "stays as it is" if found.unchanged == 1 else "stay as they are"
    to.print(f"\n{some}, {found.unchanged:,} {stay}")


def change_table(found: PlanDiff) -> Table:
    from rich.markup import escape

    table = render.table("client", ">count", "before, after", ">step", title="Changes")
    for change in found.changes[:SHOWN]:
        steps = [
            "" if value is None else seconds(value)
            for value in (change.old_step_seconds, change.new_step_seconds)
        ]
        table.add_row(
            escape(change.name),
            f"{change.count:,}",
            f"[dim]{escape(change.old)}[/]\n{escape(change.new)}",
            f"[dim]{steps[0]}[/]\n{steps[1]}",
        )
    left = found.changes[SHOWN:]
    if left:
        members = sum(change.count for change in left)
        table.add_row(f"[dim]{len(left):,} more: --json has them[/]", f"{members:,}")
    return table


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if unit == "share" else figure(value, unit)


def _share(one: Figure) -> str:
    if one.old is None or one.new is None or one.old == one.new:
        return ""
    if one.unit == "share":
        return f"{100 * (one.new - one.old):+.1f} points"
    return f"{one.new / one.old - 1:+.1%}" if one.old else ""
