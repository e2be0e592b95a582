"""A fleet at a glance: equal clients together, and totals over all of them."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveInt

from ..catalog.files import Contract
from ..profiler.profile import Profile
from .client_groups import ClientGroup, group_clients
from .fleet import Policy, ResolvedFleet, ResolvedServer
from .fleet_warnings import warnings


class FleetTotals(Contract):
    """Sums over every member of every class."""

    clients: PositiveInt
    optional_clients: int
    usable_memory_bytes: PositiveInt
    training_flops_per_second: NonNegativeFloat
    up_bits_per_second: NonNegativeFloat
    down_bits_per_second: NonNegativeFloat


class FleetSummary(Contract):
    """What `flexp fleet check` prints."""

    name: str
    groups: tuple[ClientGroup, ...]
    totals: FleetTotals
    servers: tuple[ResolvedServer, ...]
    policy: Policy
    warnings: tuple[str, ...] = ()
    """What is allowed, and yet hardly meant."""


def totals(groups: tuple[ClientGroup, ...]) -> FleetTotals:
    return FleetTotals(
        clients=sum(group.count for group in groups),
        optional_clients=sum(group.count for group in groups if group.optional),
        usable_memory_bytes=sum(group.count * group.device.usable_memory_bytes for group in groups),
        training_flops_per_second=sum(
            group.count * group.device.training_flops_per_second for group in groups
        ),
        up_bits_per_second=sum(group.count * group.link.up_bits_per_second for group in groups),
        down_bits_per_second=sum(group.count * group.link.down_bits_per_second for group in groups),
    )


def summarise(fleet: ResolvedFleet, profile: Profile | None = None) -> FleetSummary:
    """With a profile, the warnings also say which clients can't take part with its model."""
    groups = group_clients(fleet)
    return FleetSummary(
        name=fleet.name,
        groups=groups,
        totals=totals(groups),
        servers=fleet.servers,
        policy=fleet.policy,
        warnings=tuple(warnings(groups, fleet, profile)),
    )
