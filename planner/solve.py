"""From a profile and a fleet to a checked plan. Pure: no files, no globals."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..catalog.files import content_hash
from ..errors import FlexpError, PlanError
from ..profiler.costs import Codec
from ..profiler.profile import Profile
from .checker import check
from .diagnose import explain_clients, explain_shared
from .fleet import ResolvedClient, ResolvedFleet
from .ilp import PROVEN_GAP, Choice, group_clients, minimise
from .limits import SharedLimit, shared_limits
from .options import Option, depth_costs, fleet_options
from .plan import ClientPlan, Objective, Plan, Prediction, ServerPlan


def make_plan(profile: Profile, fleet: ResolvedFleet, time_limit_seconds: float = 60.0) -> Plan:
    """The plan with the least step seconds in total, verified by planner/checker.py.

    When the time ends, the best plan found, with its gap and the status "feasible". Raises
    InfeasibleError with the reason where no plan exists, and FlexpError where the time ended with
    neither a plan nor that proof. PlanError for a fleet with classes, several servers, or a policy
    that leaves more than depths open.
    """
    _refuse_choices(fleet)
    costs = depth_costs(profile, fleet.policy)
    options = fleet_options(costs, fleet)
    stuck = [c for c, choices in zip(fleet.clients, options, strict=True) if not choices]
    if stuck:
        raise explain_clients(profile, fleet, costs, stuck)
    groups = group_clients([client.name for client in fleet.clients], options)
    limits = shared_limits(profile, fleet)
    try:
        choice = minimise(groups, limits, time_limit_seconds)
    except TimeoutError:
        raise FlexpError(
            f"no plan found in {time_limit_seconds:g} s, nor a proof that none exists",
            "give the solver more time with --time-limit",
        ) from None
    if choice is None:
        raise explain_shared(groups, limits, time_limit_seconds)
    chosen = choice.assignments(groups)
    deepest = {c.name: o[-1].depth for c, o in zip(fleet.clients, options, strict=True)}
    plan = Plan(
        model=profile.model,
        config_hash=profile.config_hash,
        profile_hash=content_hash(profile),
        fleet=fleet.name,
        fleet_hash=content_hash(fleet),
        blocks=profile.blocks,
        settings=profile.settings,
        steps_per_client=fleet.policy.steps_per_client,
        codec=fleet.policy.allowed_codecs[0],
        server_side=fleet.policy.server_side,
        objective=_objective(choice, chosen),
        server=_server(fleet, limits, chosen),
        clients=tuple(
            _client(
                client, chosen[client.name], deepest[client.name], fleet.policy.allowed_codecs[0]
            )
            for client in fleet.clients
        ),
    )
    check(plan, profile, fleet)
    return plan


def _refuse_choices(fleet: ResolvedFleet) -> None:
    """PlanError for what this planner does not decide yet."""
    server, policy = fleet.server, fleet.policy
    asked = {
        "classes of clients (count)": any(client.count > 1 for client in fleet.clients),
        "optional clients": any(client.optional for client in fleet.clients),
        "weights": any(client.weight != 1 for client in fleet.clients),
        "max_depth": any(client.max_depth is not None for client in fleet.clients),
        "several servers": len(fleet.servers) > 1 or server.count > 1 or server.accelerators > 1,
        "several codecs": len(policy.allowed_codecs) > 1,
        "batches": policy.batches != (),
        "micro_batches": policy.micro_batches != (1,),
        "top_blocks": policy.top_blocks != (0,),
        "labels_may_leave": policy.labels_may_leave,
        "checkpointing": policy.checkpointing != "never",
        "energy_budget_wh": policy.energy_budget_wh is not None,
    }
    found = [name for name, used in asked.items() if used]
    if found:
        where = f"{fleet.path}: " if fleet.path else ""
        raise PlanError(f"{where}this planner does not decide on {', '.join(found)}")


def _client(client: ResolvedClient, option: Option, deepest: int, codec: Codec) -> ClientPlan:
    return ClientPlan(
        name=client.name,
        device=client.device.name,
        link=client.link.name,
        depth=option.depth,
        codec=codec,
        deepest=deepest,
        memory_limit_bytes=client.device.usable_memory_bytes,
        predicted=Prediction(
            peak_memory_bytes=option.peak_memory_bytes,
            up_bytes_per_step=option.up_bytes,
            down_bytes_per_step=option.down_bytes,
            device_seconds=option.device_seconds,
            wire_seconds=option.wire_seconds,
            server_seconds=option.server_seconds,
            step_seconds=option.step_seconds,
        ),
    )


def _server(
    fleet: ResolvedFleet, limits: tuple[SharedLimit, ...], chosen: Mapping[str, Option]
) -> ServerPlan:
    memory, compute, up, down = (
        limit.used + math.fsum(limit.load(option) for option in chosen.values()) for limit in limits
    )
    link = fleet.server.link
    return ServerPlan(
        device=fleet.server.device.name,
        peak_memory_bytes=round(memory),
        memory_limit_bytes=fleet.server.device.usable_memory_bytes,
        utilisation=compute,
        link_utilisation=max(up / link.up_bits_per_second, down / link.down_bits_per_second),
        utilisation_limit=fleet.policy.server_utilisation,
    )


def _objective(choice: Choice, chosen: Mapping[str, Option]) -> Objective:
    total = math.fsum(option.step_seconds for option in chosen.values())
    bound = min(choice.bound, total)
    gap = (total - bound) / total
    slowest = min(chosen, key=lambda name: (-chosen[name].step_seconds, name))
    return Objective(
        total_step_seconds=total,
        bound=bound,
        gap=gap,
        status="optimal" if gap <= PROVEN_GAP else "feasible",
        bottleneck=slowest,
    )
