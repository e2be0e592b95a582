"""The whole comparison: every alternative with its break-even, and what matters most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial

from ...errors import FlexpError
from ..fleet import ResolvedClient, ResolvedFleet
from ..plan import Plan
from ..solve import NoPlan
from ..whatif.evaluate import Bench
from ..whatif.situation import Situation
from ..whatif.why import reasons
from .alternatives import by_fedavg, by_flexp, by_server, no_model, with_new_devices
from .costs import Assumption, decimal
from .lines import Setting, rented
from .result import Alternative, Roi, Swing
from .scale import break_even, scaled

HALF, MORE = Decimal("0.5"), Decimal("1.5")
DROPOUT = Decimal("0.3")
"""The most of the tornado; the least is 0."""
VALUE = ("value_per_point", "value_per_task")
PRICES: Mapping[str, tuple[str, ...]] = {
    "people's hours": ("hour_of_work",),
    "data prices": ("link_per_gb", "metered_per_gb", "links"),
    "energy price": ("energy_per_kwh",),
}


@dataclass(frozen=True)
class Study:
    setting: Setting
    bench: Bench
    on_done: Callable[[int], None] = lambda done: None
    """Hears how many plans were made."""

    @cached_property
    def _plans(self) -> dict[ResolvedFleet, Plan | NoPlan | None]:
        return {}

    def plan(self, fleet: ResolvedFleet) -> Plan | NoPlan | None:
        """None: neither a plan nor a proof in the time."""
        if fleet not in self._plans:
            try:
                self._plans[fleet] = self.bench.plan(Situation(fleet))
            except FlexpError:
                self._plans[fleet] = None
            self.on_done(len(self._plans))
        return self._plans[fleet]

    def flexp(self, setting: Setting) -> Alternative:
        """Of the plan; without one, why."""
        plan = self.plan(setting.fleet)
        if isinstance(plan, Plan):
            return by_flexp(setting, plan)
        why: tuple[str, ...] = ("no plan found in the time, nor a proof that none exists",)
        if isinstance(plan, NoPlan):
            why = reasons(self.bench.profiles[(None, None)], setting.fleet, plan.stuck)
        left = setting.fleet.members
        return Alternative(kind="flexp", devices=0, left_out=left, possible=False, remarks=why)

    def run(self) -> Roi:
        makers: tuple[Callable[[Setting], Alternative], ...]
        makers = (by_server, by_fedavg, with_new_devices, self.flexp)
        found = [no_model(self.setting)]
        for make in makers:
            one = make(self.setting)
            if one.possible and one.devices:
                size = break_even(partial(self._npv, make), self.setting.fleet.members)
                one = one.model_copy(update={"break_even_devices": size})
            found.append(one)
        swings = sorted(self.tornado(), key=lambda swing: swing.width, reverse=True)
        setting = self.setting
        return Roi(
            fleet=setting.fleet.name,
            model=setting.profile.model,
            devices=setting.fleet.members,
            currency=setting.costs.currency,
            years=int(setting.costs.figure("years")),
            alternatives=tuple(found),
            tornado=tuple(swings),
            assumptions=assumptions(setting, found),
        )

    def _npv(self, make: Callable[[Setting], Alternative], members: int) -> Decimal | None:
        one = make(replace(self.setting, fleet=scaled(self.setting.fleet, members)))
        return one.npv if one.possible else None

    def tornado(self) -> list[Swing]:
        """Of flexp; bandwidth and fleet size are planned again."""
        setting, members = self.setting, self.setting.fleet.members
        fleets = {
            "bandwidth": (faster(setting.fleet, 0.5), faster(setting.fleet, 1.5)),
            "fleet size": tuple(
                scaled(setting.fleet, max(1, round(members * share))) for share in (0.5, 1.5)
            ),
        }
        found = [
            self._swing(name, "-50%", "+50%", *(replace(setting, fleet=fleet) for fleet in pair))
            for name, pair in fleets.items()
        ]
        value = [name for name in VALUE if setting.costs.has(name)][:1] or ["value_per_task"]
        for name, fields in {"value": tuple(value), **PRICES}.items():
            low, high = (
                replace(setting, costs=setting.costs.scaled(factor, fields))
                for factor in (HALF, MORE)
            )
            found.append(self._swing(name, "-50%", "+50%", low, high))
        found.append(
            self._swing(
                *("server price", "-50%", "+50%"),
                *(self._dearer(factor) for factor in (HALF, MORE)),
            )
        )
        dropout = setting.costs.figure("dropout")
        most = max(DROPOUT, dropout)
        low, high = self._lost(Decimal(0)), self._lost(most)
        found.append(self._swing("dropout", "0%", f"{most:.0%}", low, high))
        return found

    def _swing(self, name: str, low: str, high: str, below: Setting, above: Setting) -> Swing:
        ends = [self.flexp(setting) for setting in (below, above)]
        values = [one.npv if one.possible else None for one in ends]
        return Swing(name=name, low=low, high=high, npv_low=values[0], npv_high=values[1])

    def _lost(self, dropout: Decimal) -> Setting:
        return replace(self.setting, costs=self.setting.costs.with_figure("dropout", dropout))

    def _dearer(self, factor: Decimal) -> Setting:
        """The server's price, in the fleet or in the costs."""
        fleet, costs = self.setting.fleet, self.setting.costs
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
        return replace(self.setting, fleet=fleet, costs=costs.scaled(factor, names))


def faster(fleet: ResolvedFleet, factor: float) -> ResolvedFleet:
    """Every client's link with so many times its rates."""

    def one(client: ResolvedClient) -> ResolvedClient:
        update = {
            name: getattr(client.link, name) * factor
            for name in ("up_bits_per_second", "down_bits_per_second")
        }
        return client.model_copy(update={"link": client.link.model_copy(update=update)})

    return fleet.model_copy(update={"clients": tuple(map(one, fleet.clients))})


def assumptions(setting: Setting, found: Sequence[Alternative]) -> tuple[Assumption, ...]:
    """Everything that a line of an alternative names, and what all figures rest on."""
    names = dict.fromkeys(["discount_rate", "years"])
    names |= dict.fromkeys(name for one in found for line in one.lines for name in line.assumes)
    listed = [_assumption(name, setting) for name in names]
    others = dict.fromkeys(one.currency for one in listed)
    rates = [
        setting.costs.assumption(f"exchange.{currency}")
        for currency in others
        if currency not in ("", setting.costs.currency)
    ]
    return (*listed, *rates)


def _assumption(name: str, setting: Setting) -> Assumption:
    if name == "curve":
        best = decimal(setting.curve.best)
        source = setting.curve.source
        return Assumption(
            name="best of the depth curve", amount=best, source=source, date="", own=False
        )
    if name == "cost_per_hour":
        prices = [server.cost_per_hour or 0.0 for server in setting.fleet.servers]
        return Assumption(
            name="cost_per_hour",
            amount=decimal(max(prices)),
            currency=setting.costs.currency,
            source="the fleet's file",
            date="",
            own=True,
        )
    return setting.costs.assumption(name)
