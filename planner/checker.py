"""An independent check of a plan: every figure recomputed and every limit tested, without the
solver and without the arrays that it worked on. Labels are those of docs/planner.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

from ..catalog.files import content_hash
from ..catalog.units import format_bytes
from ..errors import PlanError
from ..profiler.costs import server_backbone_bytes
from ..profiler.profile import Profile
from .checker_assignment import broken_assignment
from .columns import columns
from .deepest import Deepest
from .fleet import ResolvedFleet
from .guests import Guests, variants_of
from .machine_load import MachineLoad, machine_load
from .menu import Variant, make_menu
from .objective import parse_objective
from .objective_value import machines, objective_value
from .plan import ClientPlan, Plan, ServerPlan, relative_gap
from .predict import Step, broken_by_size, broken_by_time, limits_time, steps_of
from .promise import bottleneck, predictions, server_plan
from .value import DEFAULT_CURVE, ValueCurve

FIGURE_TOLERANCE = 1e-9
"""Relative difference allowed between a recomputed figure and the plan's."""
LIMIT_TOLERANCE = 1e-6
"""Relative overrun of a shared limit that is put down to the solver's arithmetic."""
OPTIMAL_GAP = 1e-4

Violation = tuple[str, str]


def check(
    plan: Plan,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    curve: ValueCurve = DEFAULT_CURVE,
) -> None:
    """Raises PlanError with every violated label and what was found."""
    found = list(violations(plan, profiles, fleet, curve))
    if found:
        raise PlanError(
            "the plan does not fit its profile and fleet:\n"
            + "\n".join(f"  {label}: {text}" for label, text in found),
            "make a new plan with `flexp plan`",
        )


def violations(
    plan: Plan,
    profiles: Mapping[int, Profile],
    fleet: ResolvedFleet,
    curve: ValueCurve = DEFAULT_CURVE,
    fleet_hash: str | None = None,
) -> Iterator[Violation]:
    """(label, what was found) of everything wrong; wrong inputs or assignments end the check, as
    the other figures mean nothing then. `fleet_hash`: the fleet's `content_hash`, where it is
    known."""
    recount = _Recount(plan, profiles, fleet)
    found = [
        *_inputs(plan, profiles, fleet, fleet_hash or content_hash(fleet)),
        *broken_assignment(plan, fleet),
        *recount.unknown(),
    ]
    yield from found
    if found:
        return
    yield from recount.violations()
    yield from _objectives(plan, fleet, curve)


def _inputs(
    plan: Plan, profiles: Mapping[int, Profile], fleet: ResolvedFleet, fleet_hash: str
) -> Iterator[Violation]:
    profile = next(iter(profiles.values()))
    expected = {
        "model": profile.model,
        "config_hash": profile.config_hash,
        "profile_hashes": {batch: content_hash(found) for batch, found in profiles.items()},
        "blocks": profile.blocks,
        "settings": profile.settings,
        "fleet": fleet.name,
        "fleet_hash": fleet_hash,
        "steps_per_client": fleet.policy.steps_per_client,
        "server_side": fleet.policy.server_side,
    }
    for field, value in expected.items():
        if getattr(plan, field) != value:
            yield "C0_inputs", f"{field} is {getattr(plan, field)!r}, expected {value!r}"


class _Recount:
    """Every client and machine again."""

    def __init__(self, plan: Plan, profiles: Mapping[int, Profile], fleet: ResolvedFleet) -> None:
        self.plan, self.profiles, self.fleet = plan, profiles, fleet
        self.menu = make_menu(profiles, fleet.policy)
        self.clients = sorted(plan.clients, key=attrgetter("name", "first"))
        self.variants = variants_of(self.clients, self.menu)
        self.entries = {client.name: client for client in fleet.clients}
        self.machines = machines(fleet)
        self.deepest = Deepest(self.menu, fleet)

    def unknown(self) -> Iterator[Violation]:
        for client, variant in zip(self.clients, self.variants, strict=True):
            if variant is None:
                yield "C1_assign", f"{client.name}: the policy allows no {variant_of(client)}"

    def violations(self) -> Iterator[Violation]:
        """Machine by machine: what it is asked for, and what each of its clients is promised."""
        served: dict[str, list[tuple[ClientPlan, int]]] = {name: [] for name in self.machines}
        for client, variant in zip(self.clients, self.variants, strict=True):
            if variant is not None:
                served[client.server].append((client, variant))
        expected = []
        for name, server in self.machines.items():
            clients = [client for client, _ in served[name]]
            guests = Guests(
                server,
                self.menu,
                clients=[self.entries[client.name] for client in clients],
                variants=[variant for _, variant in served[name]],
                members=[client.count for client in clients],
            )
            load = machine_load(guests)
            yield from self._own_limits(load)
            yield from self._figures(clients, load)
            expected.append(self._machine(name, load))
            yield from self._shared(expected[-1], load)
        stated = {server.name: server for server in self.plan.servers}
        if list(stated) != [server.name for server in expected]:
            yield "figures", f"servers are {list(stated)}"
            return
        for machine in expected:
            yield from _compare(machine.name, stated[machine.name], machine.model_dump())

    def _own_limits(self, load: MachineLoad) -> Iterator[Violation]:
        """C2, C3 and C8, then C7 and C9."""
        guests, policy, menu = load.guests, self.fleet.policy, self.menu
        samples = menu.round_samples
        entries = list(zip(guests.clients, guests.variants, strict=True))
        for entry, choice in entries:
            asked, variant = menu.demands[choice], menu.variants[choice]
            for label, text in broken_by_size(asked, variant, entry, policy, samples):
                yield label, f"{entry.name}: {text}"
        if not limits_time(policy):
            return
        steps = zip(*(part.tolist() for part in guests.step), strict=True)
        waits = load.wait_seconds.tolist()
        for (entry, choice), step, wait in zip(entries, steps, waits, strict=True):
            variant = menu.variants[choice]
            for label, text in broken_by_time(variant, Step(*step), entry, policy, samples, wait):
                yield label, f"{entry.name}: {text}"

    def _figures(self, clients: Sequence[ClientPlan], load: MachineLoad) -> Iterator[Violation]:
        """What is promised of a machine's clients."""
        guests, policy, samples = load.guests, self.fleet.policy, self.menu.round_samples
        steps = [round(steps_of(variant, policy, samples)) for variant in self.menu.variants]
        expected = {
            "device": guests.fields["device.name"],
            "link": guests.fields["link.name"],
            "steps": [steps[variant] for variant in guests.variants],
            "deepest": self.deepest.of(guests),
            "memory_limit_bytes": guests.fields["device.usable_memory_bytes"],
        }
        names = guests.fields["name"]
        yield from _compare_all(names, clients, expected)
        yield from _compare_all(names, [client.predicted for client in clients], predictions(load))

    def _machine(self, name: str, load: MachineLoad) -> ServerPlan:
        policy = self.fleet.policy
        backbone = server_backbone_bytes(
            next(iter(self.profiles.values())), policy.server_side, heads=policy.labels_may_leave
        )
        return server_plan(name, load, backbone, policy.server_utilisation)

    def _shared(self, found: ServerPlan, load: MachineLoad) -> Iterator[Violation]:
        """C4, C5 and C6. C5's queue is the one that the clients make: it holds by construction."""
        share, use = self.fleet.policy.server_utilisation, load.predicted
        if use is None:
            return
        used, limit = found.peak_memory_bytes, found.memory_limit_bytes
        if used > limit * (1 + LIMIT_TOLERANCE):
            text = f"needs {format_bytes(used)} of memory, {format_bytes(limit)} usable"
            yield "C4_server_memory", f"{found.name}: {text}"
        for label, what, value in (
            ("C5_server_compute", "compute", use.server_utilisation),
            ("C6_server_link_up", "link to the clients", use.down_utilisation),
            ("C6_server_link_down", "link from the clients", use.up_utilisation),
        ):
            if value > share * (1 + LIMIT_TOLERANCE):
                yield (
                    label,
                    f"{found.name}: {what} {100 * value:.5g}% full, limit {100 * share:.5g}%",
                )


def variant_of(client: ClientPlan) -> Variant:
    return Variant(client.placement, client.codec, client.batch, client.micro_batches)


def _objectives(plan: Plan, fleet: ResolvedFleet, curve: ValueCurve) -> Iterator[Violation]:
    """Values, gaps, statuses and the bottleneck follow from the rest of the plan."""
    for stated in plan.objectives:
        (level,) = parse_objective(stated.name)
        value = objective_value(level, plan, fleet, curve)
        gap = relative_gap(value, stated.bound)
        expected = {"value": value, "gap": gap, "unit": level.unit}
        yield from _compare(f"objective {stated.name}", stated, expected)
        if stated.bound > value + FIGURE_TOLERANCE * abs(value):
            yield "figures", f"objective {stated.name}: bound {stated.bound} is above {value}"
        if (stated.status == "optimal") != (gap <= OPTIMAL_GAP) and plan.strategy == "optimized":
            yield "figures", f"objective {stated.name}: {stated.status!r} with a gap of {gap:.3g}"
    if plan.bottleneck != bottleneck(plan):
        yield "figures", f"bottleneck is {plan.bottleneck!r}, recomputed {bottleneck(plan)!r}"


def _compare_all(
    names: Sequence[str], stated: Sequence[object], expected: Mapping[str, Sequence[object]]
) -> Iterator[Violation]:
    """Field by field, and one by one where a field differs anywhere."""
    found = columns(tuple(expected), stated)
    for field, values in expected.items():
        if found[field] != tuple(values):
            for name, one, value in zip(names, stated, values, strict=True):
                yield from _compare(name, one, {field: value})


def _compare(who: str, stated: object, expected: Mapping[str, object]) -> Iterator[Violation]:
    for field, value in expected.items():
        found = getattr(stated, field)
        if found == value:
            continue
        if not (isinstance(value, float) and isinstance(found, float)) or not math.isclose(
            found, value, rel_tol=FIGURE_TOLERANCE, abs_tol=FIGURE_TOLERANCE
        ):
            yield "figures", f"{who}: {field} is {found!r}, recomputed {value!r}"
