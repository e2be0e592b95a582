"""Amounts as lines, each with how it comes about: people, data, energy, value, the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from ...errors import FieldError, UnknownNameError
from ...profiler.profile import Profile
from ..fleet import ResolvedClient, ResolvedFleet, ResolvedServer
from ..objective_value import machines
from ..value import ValueCurve
from ..whatif.outcome import money
from .costs import Costs, decimal
from .flows import Purchase
from .result import Line

GB = Decimal(10**9)
POINTS = 100


@dataclass(frozen=True)
class Setting:
    """What every alternative is computed from."""

    profile: Profile
    fleet: ResolvedFleet
    costs: Costs
    curve: ValueCurve
    hours_per_day: float = 24.0

    @property
    def runs(self) -> Decimal:
        return self.costs.figure("runs_per_year")


@dataclass(frozen=True)
class Sum:
    """Lines, and what is bought again whenever its life ends."""

    lines: tuple[Line, ...]
    purchases: tuple[Purchase, ...] = ()


def said(number: Decimal | float) -> str:
    """For reading: "1,234", "12.3"."""
    value = float(number)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def people(setting: Setting, devices: int) -> Iterator[Line]:
    costs = setting.costs
    hour = costs.money("hour_of_work")
    setup = costs.figure("setup_hours") + costs.figure("setup_hours_per_device") * devices
    monthly = costs.figure("hours_per_month")
    yield Line(
        name="setting up",
        when="once",
        amount=money(-hour * setup),
        how=f"{said(setup)} h × {hour:.2f}",
        assumes=("hour_of_work", "setup_hours", "setup_hours_per_device"),
    )
    yield Line(
        name="people",
        when="yearly",
        amount=money(-hour * monthly * 12),
        how=f"{said(monthly)} h × 12 × {hour:.2f}",
        assumes=("hour_of_work", "hours_per_month"),
    )


def transfer(
    setting: Setting, of: Callable[[ResolvedClient], Decimal], assumes: tuple[str, ...]
) -> Iterator[Line]:
    """A line for each price of a link; `of` is the bytes of one device in one run."""
    volume: dict[tuple[str, Decimal], Decimal] = {}
    for client in setting.fleet.clients:
        metered = client.link.data_budget_bytes is not None
        price, name = setting.costs.link_per_gb(client.link.name, metered)
        volume[(name, price)] = volume.get((name, price), Decimal(0)) + client.count * of(client)
    for (name, price), total in volume.items():
        gigabytes = total * setting.runs / GB
        if gigabytes:
            yield Line(
                name="data" if name == "link_per_gb" else f"data, {name}",
                when="yearly",
                amount=money(-price * gigabytes),
                how=f"{said(gigabytes)} GB × {said(price)}",
                assumes=(name, "runs_per_year", *assumes),
            )


def energy(setting: Setting, name: str, wh: float) -> Line:
    price = setting.costs.money("energy_per_kwh")
    kwh = decimal(wh) / 1000 * setting.runs
    return Line(
        name=name,
        when="yearly",
        amount=money(-price * kwh),
        how=f"{said(kwh)} kWh × {said(price)}",
        assumes=("energy_per_kwh", "runs_per_year"),
    )


def value(setting: Setting, devices: int, accuracy: Decimal, source: str, on_devices: bool) -> Line:
    """What right answers are worth; `on_devices`: less what dropout loses."""
    costs = setting.costs
    if costs.has("value_per_point"):
        a_device = costs.money("value_per_point") * POINTS
        how = f"{said(costs.money('value_per_point'))} a point"
        names: tuple[str, ...] = ("value_per_point",)
    else:
        tasks = costs.figure("tasks_per_device_day") * costs.figure("days_per_year")
        a_device = tasks * costs.money("value_per_task")
        how = f"{said(tasks)} tasks × {said(costs.money('value_per_task'))}"
        names = ("tasks_per_device_day", "days_per_year", "value_per_task")
    kept = 1 - costs.figure("dropout") if on_devices else Decimal(1)
    return Line(
        name="value",
        when="yearly",
        amount=money(devices * accuracy * a_device * kept),
        how=f"{devices:,} devices × accuracy {said(accuracy)} × {how}"
        + (f" × {said(kept)} that stay on" if on_devices else ""),
        assumes=(*names, source, *(("dropout",) if on_devices else ())),
    )


def server_price(server: ResolvedServer, costs: Costs) -> tuple[Decimal, str]:
    """Of buying one machine, and the name of the figure; raises FieldError where it is unknown."""
    if costs.has("server_price"):
        return costs.money("server_price"), "server_price"
    try:
        return costs.device_price(server.device.name)
    except UnknownNameError:
        raise FieldError(
            f"what the server costs is not known: {server.device.name!r} is no device type of the "
            "catalogue",
            "give cost_per_hour in the fleet's server, or server_per_hour or server_price in the "
            "cost file",
        ) from None


def rented(fleet: ResolvedFleet, costs: Costs) -> bool:
    if costs.given.server is not None:
        return costs.given.server == "rented"
    priced = all(server.cost_per_hour is not None for server in fleet.servers)
    return costs.has("server_per_hour") or priced


def for_server(setting: Setting, machine_hours: float) -> Sum:
    """Rented by the hour for all machines, or bought."""
    costs, fleet = setting.costs, setting.fleet
    every = list(machines(fleet).values())
    if not rented(fleet, costs):
        life = int(costs.figure("server_life_years"))
        prices = [server_price(server, costs) for server in every]
        total = sum((price for price, _ in prices), Decimal(0))
        line = Line(
            name="server, bought",
            when="once",
            amount=money(-total),
            how=f"{len(every)} × {total / len(every):,.2f}, again every {life} years",
            assumes=(*dict.fromkeys(name for _, name in prices), "server_life_years"),
        )
        return Sum((line,), (Purchase(total, life),))
    own = costs.has("server_per_hour")
    rates = [
        costs.money("server_per_hour") if own else decimal(server.cost_per_hour or 0.0)
        for server in every
    ]
    rate = sum(rates, Decimal(0)) / len(rates)
    line = Line(
        name="server, rented",
        when="yearly",
        amount=money(-rate * decimal(machine_hours) * setting.runs),
        how=f"{said(machine_hours)} h × {said(setting.runs)} runs × {said(rate)}",
        assumes=("server_per_hour" if own else "cost_per_hour", "runs_per_year"),
    )
    return Sum((line,))
