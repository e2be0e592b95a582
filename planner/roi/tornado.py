"""What matters most: the NPV of flexp with one thing otherwise, planned anew where that changes it.

Where there is no plan at an end of the bandwidth or of the fleet's size, the farthest point on the
way there is taken that has one, in steps of 5%, and what is in the way beyond it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from ..fleet import ResolvedClient, ResolvedFleet
from .lines import Setting, rented
from .result import Alternative, Swing
from .scale import scaled

ENDS = (-50, 50)
STEP = 5
"""Percent."""
DROPOUT = Decimal("0.3")
"""The most of the tornado; the least is 0."""
VALUE = ("value_per_point", "value_per_task")
PRICES: Mapping[str, tuple[str, ...]] = {
    "people's hours": ("hour_of_work",),
    "data prices": ("link_per_gb", "metered_per_gb", "links"),
    "energy price": ("energy_per_kwh",),
}
Flexp = Callable[[Setting], Alternative]


@dataclass(frozen=True)
class _End:
    text: str
    npv: Decimal
    beyond: tuple[str, ...] = ()


def tornado(setting: Setting, flexp: Flexp) -> list[Swing]:
    """The widest first; of a setting that has a plan."""
    fleet, members = setting.fleet, setting.fleet.members
    planned: Mapping[str, Callable[[int], ResolvedFleet]] = {
        "bandwidth": lambda percent: faster(fleet, 1 + percent / 100),
        "fleet size": lambda percent: scaled(fleet, max(1, round(members * (1 + percent / 100)))),
    }
    found = [
        _swing(name, [_farthest(setting, flexp, of, percent) for percent in ENDS])
        for name, of in planned.items()
    ]
    value = [name for name in VALUE if setting.costs.has(name)][:1] or ["value_per_task"]
    priced: dict[str, Callable[[Decimal], Setting]] = {
        name: partial(_priced, setting, fields)
        for name, fields in {"value": tuple(value), **PRICES}.items()
    }
    priced["server price"] = partial(_dearer, setting)
    found += [
        _swing(name, [_end(f"{p:+}%", flexp(of(1 + Decimal(p) / 100))) for p in ENDS])
        for name, of in priced.items()
    ]
    lost = (Decimal(0), max(DROPOUT, setting.costs.figure("dropout")))
    found.append(
        _swing("dropout", [_end(f"{share:.0%}", flexp(_lost(setting, share))) for share in lost])
    )
    return sorted(found, key=lambda swing: swing.width, reverse=True)


def _farthest(
    setting: Setting, flexp: Flexp, fleet_at: Callable[[int], ResolvedFleet], percent: int
) -> _End:
    """At `percent`, or as far towards it as there are plans: they must not begin again once they
    have ended."""

    def at(steps: int) -> tuple[str, Alternative]:
        share = percent if steps == last else (STEP if percent > 0 else -STEP) * steps
        return f"{share:+}%", flexp(replace(setting, fleet=fleet_at(share)))

    last = abs(percent) // STEP
    text, one = at(last)
    if one.possible:
        return _end(text, one)
    beyond, low, high = (text, one), 0, last
    best = ("0%", flexp(setting))
    while high - low > 1:
        middle = (low + high) // 2
        tried = at(middle)
        if tried[1].possible:
            low, best = middle, tried
        else:
            high, beyond = middle, tried
    return _end(*best, *(f"no plan at {beyond[0]}: {why}" for why in beyond[1].remarks))


def _end(text: str, one: Alternative, *beyond: str) -> _End:
    return _End(text, one.npv, beyond)


def _swing(name: str, ends: Sequence[_End]) -> Swing:
    low, high = ends
    return Swing(
        name=name,
        low=low.text,
        high=high.text,
        npv_low=low.npv,
        npv_high=high.npv,
        beyond=(*low.beyond, *high.beyond),
    )


def _priced(setting: Setting, fields: Sequence[str], factor: Decimal) -> Setting:
    return replace(setting, costs=setting.costs.scaled(factor, fields))


def _lost(setting: Setting, dropout: Decimal) -> Setting:
    return replace(setting, costs=setting.costs.with_figure("dropout", dropout))


def _dearer(setting: Setting, factor: Decimal) -> Setting:
    """The server's price, in the fleet or in the costs."""
    fleet, costs = setting.fleet, setting.costs
    names = [name for name in ("server_per_hour", "server_price") if costs.has(name)]
    if not rented(fleet, costs) and not costs.has("server_price"):
        names += [f"devices.{server.device.name}" for server in fleet.servers]
    servers = tuple(
        server.model_copy(
            update={
                "cost_per_hour": None
                if server.cost_per_hour is None
                else server.cost_per_hour * float(factor)
            }
        )
        for server in fleet.servers
    )
    fleet = fleet.model_copy(update={"servers": servers})
    return replace(setting, fleet=fleet, costs=costs.scaled(factor, names))


def faster(fleet: ResolvedFleet, factor: float) -> ResolvedFleet:
    """Every client's link with so many times its rates."""

    def one(client: ResolvedClient) -> ResolvedClient:
        update = {
            name: getattr(client.link, name) * factor
            for name in ("up_bits_per_second", "down_bits_per_second")
        }
        return client.model_copy(update={"link": client.link.model_copy(update=update)})

    return fleet.model_copy(update={"clients": tuple(map(one, fleet.clients))})
