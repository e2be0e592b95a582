"""Plans without an optimizer, to compare with: one depth for all, and what memory allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InfeasibleError, PlanError
from ..profiler.profile import Profile
from .assign import Run
from .checker import Violation, violations
from .fleet import ResolvedClient, ResolvedFleet
from .machines import client_arrays, server_arrays
from .menu import Demand, Menu, Variant, make_menu
from .objective import check_known, parse_objective
from .objective_value import objective_value
from .plan import ObjectiveResult, Plan, Strategy
from .promise import write_up
from .solve import Wanted, make_plan

DEFAULT = Wanted()
SHOWN = 3
"""Violations of one limit that are listed one by one."""


def plan_by(strategy: Strategy, profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> Plan:
    """memory-only: each client at the deepest split that its memory and depth limits allow.
    static: everyone at the deepest split that all of them can have. Everything else is what the
    policy names first, and clients take the servers in turn.

    Neither looks at time, wire or server: `violations` in planner/checker.py says what is broken.
    The plan has no objectives yet. Raises InfeasibleError where a client has no split.
    """
    menu = make_menu(profiles, fleet.policy)
    plain = _plain(menu, fleet)
    deepest = [_deepest(client, plain, fleet) for client in fleet.clients]
    if strategy == "static":
        deepest = [min(deepest)] * len(deepest)
    runs, variants, machines = [], [], _machines(fleet)
    for index, (client, depth) in enumerate(zip(fleet.clients, deepest, strict=True)):
        for turn, (kind, machine) in enumerate(machines):
            first, last = (client.count * t // len(machines) for t in (turn, turn + 1))
            if client.count == 1:
                first, last = (0, 1) if index % len(machines) == turn else (0, 0)
            if last > first:
                runs.append(Run(index, first + 1, last - first, -1, kind, machine))
                variants.append(menu.variants.index(plain[depth][0]))
    return write_up(profiles, fleet, menu, runs, variants, [], strategy)


def _machines(fleet: ResolvedFleet) -> Sequence[tuple[int, int]]:
    return [(k, m) for k, server in enumerate(fleet.servers) for m in range(server.count)]


def _plain(menu: Menu, fleet: ResolvedFleet) -> dict[int, tuple[Variant, Demand]]:
    """For each depth the variant of the policy's first choices."""
    policy = fleet.policy
    batch = policy.batches[0] if policy.batches else menu.round_samples
    return {
        variant.placement.depth: (variant, demand)
        for variant, demand in zip(menu.variants, menu.demands, strict=True)
        if variant.placement.top == policy.top_blocks[0]
        and variant.placement.head == "device"
        and variant.placement.checkpointing == (policy.checkpointing == "always")
        and variant.codec == policy.allowed_codecs[0]
        and variant.batch == batch
        and variant.micro_batches == policy.micro_batches[0]
    }


def _deepest(
    client: ResolvedClient, plain: Mapping[int, tuple[Variant, Demand]], fleet: ResolvedFleet
) -> int:
    room = client.device.usable_memory_bytes - client.device.runtime_bytes
    fits = [
        depth
        for depth, (variant, demand) in plain.items()
        if demand.model_memory_bytes <= room
        and depth >= client.min_depth
        and depth + variant.placement.top <= (client.max_depth or depth + variant.placement.top)
    ]
    if not fits:
        raise InfeasibleError(
            f"{client.name}: no depth from {client.min_depth} fits its memory",
            "`flexp plan` without --strategy says what would be enough",
        )
    return max(fits)


def make_plan_by(
    strategy: Strategy,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    wanted: Wanted = DEFAULT,
) -> Plan:
    """The plan of a strategy with the values of the objectives wanted. Raises PlanError with every
    limit that it breaks, InfeasibleError where a client has no split, and as `make_plan`."""
    if strategy == "optimized":
        return make_plan(profiles, fleet, wanted)
    objectives = parse_objective(wanted.objective)
    check_known(objectives, client_arrays(fleet.clients), server_arrays(fleet.servers, 0))
    plan = plan_by(strategy, profiles, fleet)
    results = [
        ObjectiveResult(
            name=objective.name,
            unit=objective.unit,
            value=(value := objective_value(objective, plan, fleet, wanted.curve)),
            bound=value,
            gap=0.0,
            status="not optimised",
        )
        for objective in objectives
    ]
    plan = plan.model_copy(update={"objectives": tuple(results)})
    broken = list(violations(plan, profiles, fleet, wanted.curve))
    if broken:
        raise PlanError(
            f"the plan of --strategy {strategy} breaks limits of the fleet:\n" + shorten(broken),
            "leave --strategy out: the optimized plan keeps every limit",
        )
    return plan


def shorten(broken: Sequence[Violation]) -> str:
    """A line for each violation, at most SHOWN of each label."""
    lines = []
    for label in dict.fromkeys(label for label, _ in broken):
        texts = [text for other, text in broken if other == label]
        lines += [f"  {text} ({label})" for text in texts[:SHOWN]]
        if len(texts) > SHOWN:
            lines.append(f"  and {len(texts) - SHOWN} more ({label})")
    return "\n".join(lines)
