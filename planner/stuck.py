"""Clients that can take no part: what is in the way, and the fewest changes that are enough.

Every variant is looked at, also those just outside of the policy: other codecs, checkpointing,
batches that have a profile. What a variant still lacks on the client is a set of changes with
amounts; a client needs the changes of one variant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..catalog.units import format_bytes, format_seconds
from ..profiler import costs
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .change import (
    Change,
    batch_change,
    bytes_up,
    client_change,
    codec_change,
    policy_change,
    seconds_up,
    server_change,
    watt_hours_up,
    with_budget,
    with_memory,
    with_more_memory,
)
from .client_groups import ClientGroup
from .fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from .menu import Demand, Menu, Variant, make_menu
from .predict import C2, C3, C7, C8, C9, Step, broken_limits, energy_joules, predict_step, steps_of
from .program import C4

KINDS = (
    *("memory", "budget", "deadline", "energy", "power", "steps", "batch", "codec"),
    *("checkpointing", "min_depth", "max_depth", "server_memory"),
)
"""In the order in which changes are named."""


@dataclass(frozen=True)
class Group:
    """Equal clients that can take no part."""

    one: ResolvedClient
    names: tuple[str, ...]
    """Of the fleet's entries."""
    count: int

    @classmethod
    def of(cls, group: ClientGroup) -> Group:
        one = ResolvedClient(
            name=group.names[0],
            device=group.device,
            link=group.link,
            min_depth=group.min_depth,
            max_depth=group.max_depth,
        )
        return cls(one, group.names, group.count)

    @property
    def who(self) -> str:
        if len(self.names) > 1:
            return f"{self.one.name} and {self.count - 1} more like it"
        return (
            self.one.name if self.count == 1 else f"{self.count} devices of class {self.one.name}"
        )


@dataclass(frozen=True)
class _Lack:
    """What one variant lacks on a client: an amount for each kind of change, smaller is better."""

    variant: Variant
    amounts: Mapping[str, float]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self.amounts)


class Stuck:
    """The diagnosis of one fleet's clients, one group after the other."""

    def __init__(self, profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> None:
        self.fleet, self.policy = fleet, fleet.policy
        self.menu = make_menu(profiles, fleet.policy)
        self.wide = make_menu(profiles, _wider(fleet, profiles))
        first = next(iter(profiles.values()))
        self.model, self.blocks = first.model, first.blocks
        self.backbone = server_backbone_bytes(
            first, self.policy.server_side, heads=self.policy.labels_may_leave
        )
        self._known: dict[tuple[str, ...], tuple[_Lack, ...]] = {}

    def reason(self, group: Group) -> str:
        """What the client needs for the variant that lacks least, what it has, and whether a
        smaller batch fits."""
        client = group.one
        if client.min_depth >= self.blocks:
            return (
                f"{group.who} must keep {client.min_depth} blocks ({C8}), but {self.model} has "
                f"{self.blocks} and the server keeps at least one"
            )
        candidates = [
            (len(lack.amounts), lack.variant.placement.depth, index, lack)
            for index, lack in enumerate(self._lacks(client, self.menu))
            if not {"min_depth", "max_depth"} & lack.kinds
        ]
        if not candidates:
            return (
                f"{group.who}: no split keeps at least {client.min_depth} and at most "
                f"{client.max_depth} blocks on the device ({C8})"
            )
        *_, lack = min(candidates, key=lambda found: found[:3])
        variant = lack.variant
        codec = f", {variant.codec}" if len(self.policy.allowed_codecs) > 1 else ""
        needs = "; ".join(self._need(kind, lack, client) for kind in KINDS if kind in lack.amounts)
        at = f"at depth {variant.placement.depth}{codec} and batch {variant.batch}"
        wide = list(self._lacks(client, self.wide))
        if all("memory" in other.amounts for other in wide):
            return f"{group.who} can take no part with {self.model}: {at}, {needs}"
        smaller = [o.variant.batch for o in wide if o.kinds == {"batch"}]
        fits = f"; batch {max(smaller)} fits" if smaller else ""
        return f"{group.who}, {at}, {needs}{fits}"

    def remedies(self, group: Group, patience: float = 1.0) -> tuple[tuple[Change, ...], ...]:
        """Single changes that are each enough; else the fewest that are enough together. A deadline
        is `patience` times what the client takes alone."""
        return tuple(
            tuple(
                self._change(kind, lack, group, patience) for kind in KINDS if kind in lack.amounts
            )
            for lack in self._least(group)
        )

    def _least(self, group: Group) -> tuple[_Lack, ...]:
        """What is lacking where the fewest changes are needed: for each set of their kinds the
        least. Found once for each group."""
        if group.names not in self._known:
            lacks = [
                option
                for lack in self._lacks(group.one, self.wide)
                for option in self._with_fewer_steps(lack, group.one)
            ]
            fewest = min(len(lack.amounts) for lack in lacks)
            by_kinds: dict[frozenset[str], list[_Lack]] = {}
            for lack in lacks:
                if len(lack.amounts) == fewest:
                    by_kinds.setdefault(lack.kinds, []).append(lack)
            ranked = sorted(by_kinds, key=lambda kinds: sorted(map(KINDS.index, kinds)))
            self._known[group.names] = tuple(min(by_kinds[kinds], key=_size) for kinds in ranked)
        return self._known[group.names]

    def _lacks(self, client: ResolvedClient, menu: Menu) -> Iterator[_Lack]:
        for variant, demand in zip(menu.variants, menu.demands, strict=True):
            for server in self.fleet.servers:
                yield _Lack(variant, self._amounts(variant, demand, client, server))

    def _amounts(
        self, variant: Variant, demand: Demand, client: ResolvedClient, server: ResolvedServer
    ) -> dict[str, float]:
        policy, step = self.policy, predict_step(demand, variant, client, server)
        samples, found = self.menu.round_samples, {}
        steps = steps_of(variant, policy, samples)
        for label, _ in broken_limits(demand, variant, step, client, policy, samples):
            if label == C2:
                usable = client.device.usable_memory_bytes
                peak = client.device.runtime_bytes + demand.model_memory_bytes
                found["memory"] = float(peak - usable)
            elif label == C3:
                found["budget"] = (demand.up_bytes + demand.down_bytes) * steps
            elif label == C7:
                found["deadline"] = step.step_seconds
            elif label == C8 and variant.placement.depth < client.min_depth:
                found["min_depth"] = -float(variant.placement.depth)
            elif label == C8:
                found["max_depth"] = float(variant.placement.depth + variant.placement.top)
            elif label == C9:
                found |= self._energy(step, client, steps)
        room = server.device.usable_memory_bytes - server.device.runtime_bytes - self.backbone
        if demand.server_memory_bytes > room:
            found["server_memory"] = float(demand.server_memory_bytes - room)
        if variant.codec not in policy.allowed_codecs:
            found["codec"] = -float(costs.ELEMENT_BYTES[variant.codec])
        if variant.batch not in (policy.batches or (samples,)):
            found["batch"] = -float(variant.batch)
        if variant.placement.checkpointing and policy.checkpointing == "never":
            found["checkpointing"] = 0.0
        return found

    def _energy(self, step: Step[float], client: ResolvedClient, steps: float) -> dict[str, float]:
        joules = energy_joules(step, client)
        if joules is None:
            budget = 3600 * (self.policy.energy_budget_wh or 0.0)
            return {"power": -budget / (step.device_seconds * steps)}
        return {"energy": joules * steps / 3600}

    def _with_fewer_steps(self, lack: _Lack, client: ResolvedClient) -> Iterator[_Lack]:
        """The same, and with fewer steps in place of a larger budget."""
        yield lack
        shares = []
        if "budget" in lack.amounts and client.link.data_budget_bytes:
            shares.append(client.link.data_budget_bytes / lack.amounts["budget"])
        if "energy" in lack.amounts and self.policy.energy_budget_wh:
            shares.append(self.policy.energy_budget_wh / lack.amounts["energy"])
        if shares and (steps := math.floor(min(shares) * self.policy.steps_per_client)) > 0:
            rest = {k: v for k, v in lack.amounts.items() if k not in ("budget", "energy")}
            yield _Lack(lack.variant, {**rest, "steps": -float(steps)})

    def _need(self, kind: str, lack: _Lack, client: ResolvedClient) -> str:
        amount, policy = lack.amounts[kind], self.policy
        if kind == "memory":
            usable = client.device.usable_memory_bytes
            more, need = bytes_up(amount)[0], bytes_up(usable + amount)[0]
            has = f"{client.device.name} offers {format_bytes(usable)}"
            return f"needs {more} more memory: {need}, where {has} ({C2})"
        if kind == "budget":
            moved, budget = bytes_up(amount)[0], format_bytes(client.link.data_budget_bytes or 0)
            run = f"{policy.steps_per_client} steps"
            return f"moves {moved} in {run}; its link {client.link.name} allows {budget} ({C3})"
        if kind == "deadline":
            deadline = format_seconds(policy.step_deadline_seconds or 0.0)
            return f"takes {seconds_up(amount)[0]} a step; the deadline is {deadline} ({C7})"
        if kind == "energy":
            budget_wh = f"{policy.energy_budget_wh:g} Wh"
            return f"needs {watt_hours_up(amount)[0]} a run; the budget is {budget_wh} ({C9})"
        if kind == "power":
            return f"may use {policy.energy_budget_wh:g} Wh a run, but its power is unknown ({C9})"
        assert kind == "server_memory"
        return f"needs {bytes_up(amount)[0]} more memory than the server has ({C4})"

    def _change(self, kind: str, lack: _Lack, group: Group, patience: float) -> Change:
        amount, policy, names = lack.amounts[kind], self.policy, group.names
        client, variant = group.one, lack.variant
        if kind == "memory":
            text, more = bytes_up(amount)
            each = " each" if group.count > 1 else ""
            beyond = client.device.usable_memory_bytes + more - client.device.ram_bytes
            more_ram = f" (of {format_bytes(client.device.ram_bytes)} of RAM)" if beyond > 0 else ""
            return client_change(
                f"{text} more usable memory{each}{more_ram}",
                names,
                lambda c: with_more_memory(c, more),
            )
        if kind == "budget":
            text, budget = bytes_up(amount)
            return client_change(
                f"a data budget of {text}", names, lambda c: with_budget(c, budget)
            )
        if kind == "deadline":
            text, seconds = seconds_up(amount * patience)
            return policy_change(f"a step deadline of {text}", step_deadline_seconds=seconds)
        if kind == "energy":
            text, watt_hours = watt_hours_up(amount)
            return policy_change(f"an energy budget of {text}", energy_budget_wh=watt_hours)
        if kind == "power":
            watts = float(f"{-amount * 0.995:.3g}")
            return client_change(
                f"the watts of its device in the fleet's file, if at most {watts:g} W",
                names,
                lambda c: c.model_copy(
                    update={"device": c.device.model_copy(update={"watts": watts})}
                ),
            )
        if kind == "steps":
            text = f"at most {-amount:.0f} steps per client instead of {policy.steps_per_client}"
            return policy_change(text, steps_per_client=int(-amount))
        if kind == "batch":
            smaller = batch_change(policy, self.menu.round_samples, variant.batch)
            assert smaller is not None
            return smaller
        if kind == "codec":
            return codec_change(policy, variant.codec)
        if kind == "checkpointing":
            return policy_change("checkpointing allowed", checkpointing="allowed")
        if kind in ("min_depth", "max_depth"):
            depth, before = int(abs(amount)), getattr(client, kind)
            return client_change(
                f"{kind} {depth} instead of {before}",
                names,
                lambda c: c.model_copy(update={kind: depth}),
            )
        assert kind == "server_memory"
        server = max(self.fleet.servers, key=lambda s: s.device.usable_memory_bytes)
        text, usable = bytes_up(server.device.usable_memory_bytes + amount)
        return server_change(
            f"{text} of memory on {server.name}",
            server.name,
            lambda s: with_memory(s, usable),
        )


def _size(lack: _Lack) -> float:
    """Of the changes together, to choose among variants that lack the same: the deepest of the
    finest where nothing is to be weighed, else the least amount."""
    return math.fsum(
        math.log(amount) if amount > 0 else amount / 1e3 for amount in lack.amounts.values()
    )


def _wider(fleet: ResolvedFleet, profiles: Mapping[int, Profile]) -> Policy:
    policy = fleet.policy
    codecs = (*policy.allowed_codecs, *costs.ELEMENT_BYTES)
    return policy.model_copy(
        update={
            "codec": None,
            "codecs": tuple(dict.fromkeys(codecs)),
            "batches": tuple(profiles),
            "checkpointing": "always" if policy.checkpointing == "always" else "allowed",
        }
    )
