"""The whole comparison: every alternative with its break-even, and what matters most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial

from ...errors import FlexpError
from ..fleet import ResolvedFleet
from ..plan import Plan
from ..solve import NoPlan
from ..value import DEFAULT_CURVE
from ..whatif.evaluate import Bench
from ..whatif.situation import Situation
from ..whatif.why import reasons
from .alternatives import by_fedavg, by_flexp, by_server, no_model, with_new_devices
from .costs import Assumption, decimal
from .lines import Setting
from .result import Alternative, Roi
from .scale import break_even, scaled
from .tornado import tornado


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
        setting = self.setting
        return Roi(
            fleet=setting.fleet.name,
            model=setting.profile.model,
            devices=setting.fleet.members,
            currency=setting.costs.currency,
            years=int(setting.costs.figure("years")),
            alternatives=tuple(found),
            tornado=tuple(tornado(setting, self.flexp)) if found[-1].possible else (),
            assumptions=assumptions(setting, found),
        )

    def _npv(self, make: Callable[[Setting], Alternative], members: int) -> Decimal | None:
        one = make(replace(self.setting, fleet=scaled(self.setting.fleet, members)))
        return one.npv if one.possible else None


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
        return Assumption(
            name="best of the depth curve",
            amount=best,
            source=setting.curve.source,
            date=setting.curve.date,
            own=setting.curve is not DEFAULT_CURVE,
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
