"""What a fleet carries at most: model, batch, depth, and devices on its servers. Each limit is the
last step that has a plan and the first that has none, with what is then in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...catalog.files import Contract
from ...catalog.models.size import least_parameters
from ...errors import FlexpError, UnsupportedModelError
from ...profiler.profile import Profile
from ..fleet import ResolvedFleet
from ..roi.scale import scaled
from ..solve import NoPlan, Wanted
from .evaluate import first_plan
from .why import reasons

MOST_BATCH = 4096
MOST_TIMES = 64
"""Times the fleet up to which more devices are tried."""

Profiler = Callable[[str, int], Profile]
"""(model, batch) -> its profile, with the baseline's other settings."""


class Limit(Contract):
    name: str
    """model, batch, depth or devices."""
    most: str | None = None
    """None: not even the least has a plan."""
    beyond: str | None = None
    """The next step, which has none; none: there is none, or all that was tried has a plan."""
    why: tuple[str, ...] = ()
    """What is in the way there."""
    note: str = ""


@dataclass(frozen=True)
class Carrier:
    """A fleet, what it trains, and how a plan is looked for."""

    fleet: ResolvedFleet
    profiles: Mapping[int, Profile]
    profiler: Profiler
    wanted: Wanted
    on_done: Callable[[str], None] = lambda step: None
    """Hears what is tried."""

    @property
    def model(self) -> str:
        return next(iter(self.profiles.values())).model

    @property
    def round_samples(self) -> int:
        return next(iter(self.profiles))

    def hurdle(
        self, fleet: ResolvedFleet, profiles: Mapping[int, Profile], step: str
    ) -> tuple[str, ...]:
        """What is in the way of a plan; () where there is one. Optional clients may stay out."""
        self.on_done(step)
        try:
            found = first_plan(profiles, fleet, self.wanted)
        except FlexpError as error:
            return (error.message,)
        return reasons(profiles, fleet, found.stuck) if isinstance(found, NoPlan) else ()


def last_step(
    hurdle: Callable[[int], tuple[str, ...]], first: int, most: int
) -> tuple[int | None, int | None, tuple[str, ...]]:
    """The last step from `first` to `most` without a hurdle, the first beyond it, and its hurdle:
    by doubling, then by halves. Hurdles must not end once they have begun."""
    why = hurdle(first)
    if why:
        return None, first, why
    low, high = first, first
    while high < most:
        high = min(2 * high, most)
        why = hurdle(high)
        if why:
            break
        low = high
    if not why:
        return low, None, ()
    while high - low > 1:
        middle = (low + high) // 2
        found = hurdle(middle)
        low, high, why = (low, middle, found) if found else (middle, high, why)
    return low, high, why


def depth(carrier: Carrier) -> Limit:
    """Blocks that every client can keep on its device."""
    blocks = next(iter(carrier.profiles.values())).blocks

    def hurdle(step: int) -> tuple[str, ...]:
        clients = tuple(
            client.model_copy(update={"min_depth": max(step, client.min_depth)})
            for client in carrier.fleet.clients
        )
        fleet = carrier.fleet.model_copy(update={"clients": clients})
        return carrier.hurdle(fleet, carrier.profiles, f"depth {step}")

    found, beyond, why = last_step(hurdle, 1, blocks - 1)
    return Limit(
        name="depth",
        most=_text(found),
        beyond=_text(beyond),
        why=why,
        note=f"every client keeps so many of {blocks} blocks; the server keeps at least one",
    )


def batch(carrier: Carrier) -> Limit:
    """Samples a step; a round keeps its samples."""

    def hurdle(step: int) -> tuple[str, ...]:
        sizes = dict.fromkeys((carrier.round_samples, step))
        profiles = {
            size: carrier.profiles.get(size) or carrier.profiler(carrier.model, size)
            for size in sizes
        }
        policy = carrier.fleet.policy.model_copy(update={"batches": (step,)})
        fleet = carrier.fleet.model_copy(update={"policy": policy})
        return carrier.hurdle(fleet, profiles, f"batch {step}")

    most = min(MOST_BATCH, carrier.round_samples * carrier.fleet.policy.steps_per_client)
    found, beyond, why = last_step(hurdle, 1, most)
    return Limit(name="batch", most=_text(found), beyond=_text(beyond), why=why)


def devices(carrier: Carrier) -> Limit:
    """Clients of the fleet's mixture on its servers as they are, all of them taking part."""
    clients = tuple(c.model_copy(update={"optional": False}) for c in carrier.fleet.clients)
    whole = carrier.fleet.model_copy(update={"clients": clients})

    def hurdle(step: int) -> tuple[str, ...]:
        more = scaled(whole, step).model_copy(update={"servers": whole.servers})
        return carrier.hurdle(more, carrier.profiles, f"{step:,} devices")

    found, beyond, why = last_step(hurdle, 1, MOST_TIMES * whole.members)
    more = (found or 0) - whole.members
    note = f"{abs(more):,} {'more' if more >= 0 else 'fewer'} than now, in the same mixture"
    return Limit(name="devices", most=_text(found), beyond=_text(beyond), why=why, note=note)


def model(carrier: Carrier, names: Sequence[str]) -> Limit:
    """The one with most parameters of `names` that has a plan; they are tried from the largest on.
    Passed over are those that can't be split with these settings, and those of which the largest
    server and the smallest device together can't hold the weights."""
    found: list[tuple[int, str, dict[int, Profile]]] = []
    passed = 0
    small = [name for name in names if not _too_large(carrier, name)]
    for number, name in enumerate(small, start=1):
        carrier.on_done(f"{name}: profile {number} of {len(small)}")
        try:
            profiles = {size: carrier.profiler(name, size) for size in carrier.profiles}
        except UnsupportedModelError:
            passed += 1
            continue
        first = next(iter(profiles.values()))
        found.append((sum(unit.parameters for unit in first.units), name, profiles))
    beyond: str | None = None
    why: tuple[str, ...] = ()
    notes = [f"of {len(names)} models"]
    if passed:
        notes.append(f"{passed} can't train this task")
    if larger := len(names) - len(small):
        notes.append(f"{larger} too large for a server and a device together")
    note = "; ".join(notes)
    found.sort(key=lambda one: -one[0])
    for number, (parameters, name, profiles) in enumerate(found, start=1):
        step = f"{name}: model {number} of {len(found)}, from the largest on"
        hurdle = carrier.hurdle(carrier.fleet, profiles, step)
        if not hurdle:
            most = f"{name} ({parameters / 1e6:,.0f} M parameters)"
            return Limit(name="model", most=most, beyond=beyond, why=why, note=note)
        beyond, why = name, hurdle
    return Limit(name="model", most=None, beyond=beyond, why=why, note=note)


def _too_large(carrier: Carrier, name: str) -> bool:
    """Whether its weights have no place: each block is on a client's device or on its server, and
    every client that is not optional has to take part."""
    clients = carrier.fleet.clients
    must = [client.device.usable_memory_bytes for client in clients if not client.optional]
    room = min(must) if must else max(c.device.usable_memory_bytes for c in clients)
    servers = [server.device.usable_memory_bytes for server in carrier.fleet.servers]
    blocks = next(iter(carrier.profiles.values())).block_units
    width = min(unit.parameter_bytes / unit.parameters for unit in blocks)
    return width * least_parameters(name) > room + max(servers)


def _text(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def every_limit(carrier: Carrier, models: Sequence[str]) -> tuple[Limit, ...]:
    return (model(carrier, models), batch(carrier), depth(carrier), devices(carrier))
