"""What a fleet carries at most, against trying every step; fronts of which nothing is beaten."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from flexp.errors import InfeasibleError, UnsupportedModelError
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.roi.scale import scaled
from flexp.planner.solve import NoPlan, Wanted, find_plan
from flexp.planner.whatif import limits
from flexp.planner.whatif.front import Front, front
from flexp.planner.whatif.limits import Carrier, last_step
from flexp.profiler.profile import Profile

from ..conftest import device, fleet, link, minilm

WANTED = Wanted(time_limit_seconds=5)


def at_batch(model: str, batch: int) -> Profile:
    """MiniLM of another batch: what goes with samples grows with it. "big" has twelve blocks."""
    if model == "image":
        raise UnsupportedModelError("no text")
    made = minilm(12 if model == "big" else 6)
    grow = ("saved_bytes", "forward_transient_bytes", "backward_transient_bytes", "boundary_bytes")
    units = tuple(
        unit.model_copy(
            update={
                name: getattr(unit, name) * batch // 16
                for name in (*grow, "forward_flops", "backward_flops")
            }
        )
        for unit in made.units
    )
    settings = made.settings.model_copy(update={"batch": batch})
    return made.model_copy(update={"units": units, "settings": settings, "model": model})


@pytest.fixture(scope="module")
def carrier() -> Carrier:
    """Two laptops and a tablet with room for three blocks, on a small server."""
    made = fleet(
        [
            ("ann", device("laptop", 60, 900), link("lan")),
            ("bob", device("laptop", 60, 900), link("lan")),
            ("cat", device("tablet", 15, 520), link("lan")),
        ],
        (device("tower", 500, 900), link("office", 900, 900, 0.001)),
    )
    return Carrier(made, {16: at_batch("small", 16)}, at_batch, WANTED)


def feasible(made: ResolvedFleet, *profiles: Profile) -> bool:
    by_batch = {profile.settings.batch: profile for profile in profiles}
    return not isinstance(find_plan(by_batch, made, WANTED), NoPlan)


@pytest.mark.parametrize(("most", "least"), [(m, n) for m in (1, 2, 7, 64) for n in (1, 2, 5, 65)])
def test_last_step(most: int, least: int) -> None:
    """`least`: the first step that has no plan."""
    found = last_step(lambda step: ("no",) if step >= least else (), 1, most)
    if least == 1:
        assert found == (None, 1, ("no",))
    elif least > most:
        assert found == (most, None, ())
    else:
        assert found == (least - 1, least, ("no",))


def test_depth(carrier: Carrier) -> None:
    small = at_batch("small", 16)

    def whole(depth: int) -> bool:
        clients = tuple(c.model_copy(update={"min_depth": depth}) for c in carrier.fleet.clients)
        return feasible(carrier.fleet.model_copy(update={"clients": clients}), small)

    every = [depth for depth in range(1, 6) if whole(depth)]
    found = limits.depth(carrier)
    assert (found.most, found.beyond) == (str(every[-1]), str(every[-1] + 1))
    assert "cat" in found.why[0] and every == list(range(1, every[-1] + 1))


def test_batch(carrier: Carrier) -> None:
    found = limits.batch(carrier)
    assert found.most is not None and found.why
    for batch, expected in ((int(found.most), True), (int(found.most) + 1, False)):
        policy = carrier.fleet.policy.model_copy(update={"batches": (batch,)})
        made = carrier.fleet.model_copy(update={"policy": policy})
        profiles = (at_batch("small", 16), at_batch("small", batch))
        assert feasible(made, *profiles) == expected


def test_devices(carrier: Carrier) -> None:
    found = limits.devices(carrier)
    assert found.most is not None and found.why
    for size, expected in ((int(found.most), True), (int(found.most) + 1, False)):
        more = scaled(carrier.fleet, size).model_copy(update={"servers": carrier.fleet.servers})
        assert feasible(more, at_batch("small", 16)) == expected


def test_model(carrier: Carrier) -> None:
    roomy = tuple(
        client.model_copy(update={"device": device("laptop", 60, 900)})
        for client in carrier.fleet.clients
    )
    rich = replace(carrier, fleet=carrier.fleet.model_copy(update={"clients": roomy}))
    found = limits.model(rich, ["small", "image", "big"])
    assert found.most is not None and found.most.startswith("big") and found.beyond is None
    assert "1 can't train this task" in found.note
    weak = carrier.fleet.model_copy(
        update={
            "servers": (
                carrier.fleet.server.model_copy(
                    update={"device": device("tower", 500, 620), "link": link("office", 900, 900)}
                ),
            )
        }
    )
    tight = limits.model(replace(carrier, fleet=weak), ["small", "big"])
    assert tight.most is not None and tight.most.startswith("small")
    assert tight.beyond == "big" and "C4_server_memory" in tight.why[0]


def test_a_model_that_is_far_too_large_is_not_profiled(carrier: Carrier) -> None:
    asked: list[str] = []

    def profiler(name: str, batch: int) -> Profile:
        asked.append(name)
        return at_batch(name, batch)

    found = limits.model(replace(carrier, profiler=profiler), ["qwen2.5-72b", "small", "bert-base"])
    assert asked == ["small", "bert-base"]
    assert found.note == "of 3 models; 1 too large for a server and a device together"


def check(found: Front) -> None:
    """On the front, time rises and the other metric falls; the rest is beaten or breaks limits."""
    on = [point for point in found.points if point.on_front]
    assert on and {"optimized", "static", "memory-only"} <= {p.mark for p in found.points}
    for one, following in itertools.pairwise(on):
        assert one.time <= following.time and one.other >= following.other
    for point in found.points:
        beaten = any(
            p.time <= point.time
            and p.other <= point.other
            and (p.time, p.other) != (point.time, point.other)
            for p in found.points
            if not p.broken
        )
        assert point.on_front == (not beaten and not point.broken)


@pytest.mark.parametrize("metric", ["server", "value"])
def test_front(carrier: Carrier, metric: str) -> None:
    profiles = {16: at_batch("small", 16)}
    check(front(metric, profiles, carrier.fleet, WANTED))


def test_no_front_without_a_plan(carrier: Carrier) -> None:
    clients = tuple(c.model_copy(update={"min_depth": 5}) for c in carrier.fleet.clients)
    broken = carrier.fleet.model_copy(update={"clients": clients})
    with pytest.raises(InfeasibleError):
        front("server", {16: at_batch("small", 16)}, broken, WANTED)
