"""The section of a plan: what binds, device classes, and who holds which part of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan_rows import Row, rows
from .charts import BLUE, GREEN, GREY, shares
from .parts import (
    JOINT,
    Cell,
    Chart,
    Say,
    Section,
    Table,
    number,
    row,
    seconds,
    share,
    size,
    titles,
)

if TYPE_CHECKING:
    from ...planner.plan import ClientPlan, Plan

SHOWN = 30
"""Classes in the picture; the table has all."""
FULL = 0.95


def plan_section(made: Plan, say: Say) -> Section:
    found = rows(made, "class")
    what, fullness = binding(made, say)
    devices = say("{} devices train {}").format(f"{made.devices:,}", made.model)
    binds = say("what binds: {}, {} full") if fullness >= FULL else say("fullest: {}, {} full")
    last = made.objectives[-1] if made.objectives else None
    proof = (
        say("proven to {} of the best").format(f"{last.gap:.2%}")
        if last is not None and last.status != "not optimised"
        else say("not optimised")
    )
    absent = sum(away.count for away in made.absent)
    parts = (devices, binds.format(what, f"{fullness:.0%}"), proof)
    remarks = [slowest(made, say)] if made.clients else []
    if absent:
        remarks.append(say("{} optional devices take no part").format(f"{absent:,}"))
    return Section(
        title=say("Plan: {}").format(made.fleet),
        verdicts=(say(JOINT).join(parts),),
        good=True,
        tables=(_classes(made, found, say), _servers(made, say), _objectives(made, say)),
        charts=(_picture(made, found[:SHOWN], say),),
        remarks=tuple(remarks),
    )


def binding(made: Plan, say: Say) -> tuple[str, float]:
    """The fullest limit of the fleet, and how full it is."""
    found = [(say("no device takes part"), 0.0)]
    for entry in made.clients:
        memory = entry.predicted.peak_memory_bytes / entry.memory_limit_bytes
        found.append((say("memory of {}").format(entry.name), memory))
    for server in made.servers:
        limit = server.utilisation_limit
        name = server.name
        found += [
            (
                say("memory of {}").format(name),
                server.peak_memory_bytes / server.memory_limit_bytes,
            ),
            (say("compute of {}").format(name), server.utilisation / limit),
            (say("link of {}").format(name), server.link_utilisation / limit),
        ]
    return max(found, key=lambda pair: pair[1])


def slowest(made: Plan, say: Say) -> str:
    entry = next(one for one in made.clients if made.bottleneck in one.members)
    predicted = entry.predicted
    parts = {
        "device": predicted.device_seconds,
        "wire": predicted.wire_seconds,
        "server": predicted.server_seconds,
        "wait": predicted.wait_seconds,
    }
    most = max(parts, key=lambda name: parts[name])
    text = say("slowest: {}, {} a step, {} of it: {}")
    return text.format(
        made.bottleneck,
        seconds(predicted.step_seconds).text,
        f"{parts[most] / predicted.step_seconds:.0%}",
        say(most),
    )


def _classes(made: Plan, found: list[Row], say: Say) -> Table:
    def cells(one: Row) -> tuple[Cell, ...]:
        peak, limit = one.most("peak_memory_bytes"), one.first.memory_limit_bytes
        return row(
            one.name,
            one.first.device,
            one.first.link,
            float(one.count),
            Cell(one.depth_text, one.depths[0]),
            size(peak),
            size(limit),
            share(1 - peak / limit),
            seconds(one.mean("step_seconds")),
            seconds(one.most("p95_step_seconds")),
        )

    return Table(
        say("Device classes"),
        titles(
            say,
            *("class", "device type", "link", "count", "depth", "peak memory", "usable memory"),
            *("headroom", "mean step", "step, 95%"),
        ),
        tuple(cells(one) for one in found),
        say("depth: blocks on the device, of {}").format(made.blocks),
    )


def _servers(made: Plan, say: Say) -> Table:
    return Table(
        say("Servers"),
        titles(say, "server", "clients", "memory", "usable memory", "compute", "link", "limit"),
        tuple(
            row(
                server.name,
                float(server.clients),
                size(server.peak_memory_bytes),
                size(server.memory_limit_bytes),
                share(server.utilisation),
                share(server.link_utilisation),
                share(server.utilisation_limit),
            )
            for server in made.servers
        ),
    )


def _objectives(made: Plan, say: Say) -> Table:
    return Table(
        say("Objectives"),
        titles(say, "objective", "reached", "bound", "gap", "status"),
        tuple(
            row(
                f"{one.name} ({one.unit})" if one.unit else one.name,
                one.value,
                one.bound,
                Cell(f"{one.gap:.2%}", one.gap),
                say(one.status),
            )
            for one in made.objectives
        ),
    )


def _picture(made: Plan, found: list[Row], say: Say) -> Chart:
    def mean(one: Row, of: str) -> float:
        values = sum(_blocks(entry, of, made.blocks) * entry.count for entry in one.entries)
        return values / one.count

    names = [f"{one.name} ({one.count:,})" if one.count > 1 else one.name for one in found]
    parts = [
        (say("bottom, on the device"), BLUE, [mean(one, "bottom") for one in found]),
        (say("on the server"), GREY, [mean(one, "server") for one in found]),
        (say("top, on the device"), GREEN, [mean(one, "top") for one in found]),
    ]
    kept = [part for part in parts if any(part[2])]
    alt = ", ".join(
        f"{name}: {number(value)}" for name, value in zip(names, parts[0][2], strict=True)
    )
    title = say("Who holds which part of the model, in blocks")
    return Chart(title, shares(names, kept), f"{title}. {parts[0][0]}: {alt}")


def _blocks(entry: ClientPlan, of: str, blocks: int) -> int:
    held = {"bottom": entry.depth, "top": entry.top}
    return held.get(of, blocks - entry.depth - entry.top)
