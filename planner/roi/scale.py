"""A fleet of another size and the same mixture, and the smallest one that pays."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ..fleet import ResolvedFleet

MOST = 64
"""Times the fleet up to which a larger one is looked for."""


def scaled(fleet: ResolvedFleet, members: int) -> ResolvedFleet:
    """`members` clients in the shares of the fleet's entries, by largest remainder; entries
    without any go. `members` is at least 1. A larger fleet has more servers in proportion, rounded
    up; a smaller one keeps them."""
    total = fleet.members
    quotas = [client.count * members / total for client in fleet.clients]
    counts = [int(quota) for quota in quotas]
    order = sorted(range(len(quotas)), key=lambda i: (counts[i] - quotas[i], i))
    for index in order[: members - sum(counts)]:
        counts[index] += 1
    clients = tuple(
        client.model_copy(update={"count": count})
        for client, count in zip(fleet.clients, counts, strict=True)
        if count
    )
    servers = tuple(
        server.model_copy(update={"count": max(server.count, -(-server.count * members // total))})
        for server in fleet.servers
    )
    return fleet.model_copy(update={"clients": clients, "servers": servers})


def break_even(npv: Callable[[int], Decimal | None], members: int) -> int | None:
    """The size from which on the NPV is not negative, by bisection: it rises with the size where
    a device earns more than it costs. None: not up to MOST times the fleet, or no plan.

    `npv` is that of a fleet of a size; None: no plan.
    """

    def pays(size: int) -> bool:
        value = npv(size)
        return value is not None and value >= 0

    low, high = 0, members
    while not pays(high):
        low, high = high, 2 * high
        if high > MOST * members or npv(low) is None:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high
