"""A plan with one device at another choice, everything recomputed: what the change would mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .checker import Violation, violations
from .columns import rows
from .fleet import ResolvedClient, ResolvedFleet
from .guests import Guests, variants_of
from .machine_load import machine_load
from .menu import Menu, Variant, make_menu
from .objective import ABSENT, parse_objective
from .objective_value import machines, objective_value
from .plan import ClientPlan, Plan, Prediction, ServerPlan
from .predict import predict_step, steps_of
from .promise import bottleneck, predictions, server_plan
from .value import DEFAULT_CURVE, ValueCurve


@dataclass(eq=False)
class Changed:
    """A plan in which one device does something else. Its `objectives` are left out: it is nobody's
    best plan."""

    plan: Plan
    client: ClientPlan
    """The device that is changed."""
    values: tuple[float, ...]
    """Of the objectives of the plan before."""
    broken: tuple[Violation, ...] | None = None
    """None: not checked yet."""


class WhatIf:
    """Changes to single devices of one plan, each computed once. Figures are those of
    `planner/promise.py`, limits those of `planner/checker.py`."""

    def __init__(
        self,
        plan: Plan,
        profiles: Mapping[int, Profile],
        fleet: ResolvedFleet,
        curve: ValueCurve = DEFAULT_CURVE,
    ) -> None:
        self.plan, self.profiles, self.fleet, self.curve = plan, profiles, fleet, curve
        self.menu: Menu = make_menu(profiles, fleet.policy)
        self.demands = dict(zip(self.menu.variants, self.menu.demands, strict=True))
        self.entries = {client.name: client for client in fleet.clients}
        self.machines = machines(fleet)
        self.objectives = [parse_objective(found.name)[0] for found in plan.objectives]
        self.main = next(i for i, found in enumerate(plan.objectives) if found.name != ABSENT)
        """Which objective changes are weighed by: the first that is about those who take part."""
        policy, first = fleet.policy, next(iter(profiles.values()))
        self.changes: dict[tuple[int, Variant, str], Changed] = {}
        self.backbone = server_backbone_bytes(
            first, policy.server_side, heads=policy.labels_may_leave
        )

    def guests(self, name: str, clients: Sequence[ClientPlan]) -> Guests:
        """Entries of the plan at one machine."""
        return Guests(
            self.machines[name],
            self.menu,
            [self.entries[client.name] for client in clients],
            variants=[index for index in variants_of(clients, self.menu) if index is not None],
            members=[client.count for client in clients],
        )

    def at(self, index: int, variant: Variant, server: str) -> Changed:
        """The first device of the plan's entry `index` with this variant at this machine."""
        key = (index, variant, server)
        if key not in self.changes:
            self.changes[key] = self._at(index, variant, server)
        return self.changes[key]

    def _at(self, index: int, variant: Variant, server: str) -> Changed:
        entry = self.plan.clients[index]
        steps = round(steps_of(variant, self.fleet.policy, self.menu.round_samples))
        placement = variant.placement
        update = {
            **{"count": 1, "server": server, "depth": placement.depth, "top": placement.top},
            **{"head": placement.head, "checkpointing": placement.checkpointing},
            **{"codec": variant.codec, "batch": variant.batch, "steps": steps},
            "micro_batches": variant.micro_batches,
        }
        parts = [entry.model_copy(update=update)]
        if entry.count > 1:
            rest = {"first": entry.first + 1, "count": entry.count - 1}
            parts.append(entry.model_copy(update=rest))
        clients = [*self.plan.clients[:index], *parts, *self.plan.clients[index + 1 :]]
        servers = {machine.name: machine for machine in self.plan.servers}
        for name in {entry.server, server}:
            servers[name] = self._recompute(name, clients)
        made = self.plan.model_copy(
            update={
                "clients": tuple(clients),
                "servers": tuple(servers.values()),
                "objectives": (),
            }
        )
        made = made.model_copy(update={"bottleneck": bottleneck(made)})
        values = [objective_value(o, made, self.fleet, self.curve) for o in self.objectives]
        return Changed(made, made.clients[index], tuple(values))

    def _recompute(self, name: str, clients: list[ClientPlan]) -> ServerPlan:
        """The machine's figures; those of its clients are replaced in `clients`."""
        mine = [i for i, client in enumerate(clients) if client.server == name]
        load = machine_load(self.guests(name, [clients[i] for i in mine]))
        for i, figures in zip(mine, rows(predictions(load)), strict=True):
            predicted = Prediction.model_validate(figures)
            clients[i] = clients[i].model_copy(update={"predicted": predicted})
        return server_plan(name, load, self.backbone, self.fleet.policy.server_utilisation)

    def link_use(self, name: str) -> tuple[float, float]:
        """How full the plan's clients keep the machine's link: to it, and from it."""
        mine = [client for client in self.plan.clients if client.server == name]
        predicted = machine_load(self.guests(name, mine)).predicted
        return (predicted.up_utilisation, predicted.down_utilisation) if predicted else (0.0, 0.0)

    def broken(self, changed: Changed) -> Sequence[Violation]:
        """Every limit that the changed plan breaks, by the checker."""
        if changed.broken is None:
            found = violations(changed.plan, self.profiles, self.fleet, self.curve)
            changed.broken = tuple(found)
        return changed.broken

    def alone(self, client: ResolvedClient, variant: Variant, of: ClientPlan) -> float:
        """The main objective's share of one device, were its wait that of `of` and nothing else
        changed: a guess, to put choices in order."""
        asked, server = self.demands[variant], self.machines[of.server]
        step, placement = predict_step(asked, variant, client, server), variant.placement
        waited = of.predicted.wait_seconds
        predicted = of.predicted.model_copy(
            update={
                "server_seconds": step.server_seconds,
                "step_seconds": step.step_seconds + waited,
                "up_bytes_per_step": asked.up_bytes,
                "down_bytes_per_step": asked.down_bytes,
                "energy_joules": (client.device.watts or 0.0) * step.device_seconds,
            }
        )
        update = {
            **{"count": 1, "depth": placement.depth, "top": placement.top},
            **{"batch": variant.batch, "predicted": predicted},
        }
        only = self.plan.model_copy(
            update={"clients": (of.model_copy(update=update),), "absent": ()}
        )
        fleet = self.fleet.model_copy(update={"clients": (client,)})
        return objective_value(self.objectives[self.main], only, fleet, self.curve)


def find_entries(plan: Plan, name: str) -> Sequence[int]:
    """Indices of the plan's entries of a client: of a member's name the one that it stands in, of a
    class all."""
    by_class = [i for i, client in enumerate(plan.clients) if client.name == name]
    return by_class or [
        index
        for index, client in enumerate(plan.clients)
        if name.startswith(f"{client.name}-") and name in client.members
    ]
