from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flexp.catalog.files import content_hash
from flexp.errors import PlanError
from flexp.planner import checker, promise, solve
from flexp.planner.checker import check, violations
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.profiler.profile import Profile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from .conftest import device, fleet, link, minilm, planned


def change(plan: Plan, path: str, value: Any) -> Plan:
    """The plan with one field set: "clients.0.depth"."""
    data = plan.model_dump()
    node: Any = data
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if part.isdigit() else node[part]
    node[last] = value(node[last]) if callable(value) else value
    return Plan.model_validate(data)


def labels(plan: Plan, profile: Profile, fleet: ResolvedFleet) -> set[str]:
    return {label for label, _ in violations(plan, {16: profile}, fleet)}


TAMPERED: list[tuple[str, Any, str | None]] = [
    ("model", "other", "C0_inputs"),
    ("config_hash", "d" * 64, "C0_inputs"),
    ("profile_hashes", {16: "d" * 64}, "C0_inputs"),
    ("fleet", "other", "C0_inputs"),
    ("fleet_hash", "d" * 64, "C0_inputs"),
    ("blocks", 7, "C0_inputs"),
    ("settings.batch", 17, "C0_inputs"),
    ("steps_per_client", 99, "C0_inputs"),
    ("server_side", "aligned", "C0_inputs"),
    ("clients.0.name", "zoe", "C1_assign"),
    ("clients.0.depth", 6, "C1_assign"),
    ("clients.3.depth", 3, "figures"),
    ("clients.0.device", "other", "figures"),
    ("clients.0.link", "other", "figures"),
    ("clients.0.deepest", 4, "figures"),
    ("clients.0.class_size", 2, "C1_assign"),
    ("clients.0.first", 2, "C1_assign"),
    ("clients.0.count", 2, "C1_assign"),
    ("clients.0.server", "other", "C1_assign"),
    ("clients.0.top", 1, "C1_assign"),
    ("clients.0.head", "server", "C1_assign"),
    ("clients.0.checkpointing", True, "C1_assign"),
    ("clients.0.codec", "int8", "C1_assign"),
    ("clients.0.batch", 8, "C1_assign"),
    ("clients.0.micro_batches", 2, "C1_assign"),
    ("clients.0.steps", 99, "figures"),
    ("clients.0.memory_limit_bytes", lambda old: old + 1, "figures"),
    ("clients.0.predicted.peak_memory_bytes", lambda old: old - 1, "figures"),
    ("clients.0.predicted.up_bytes_per_step", lambda old: old - 1, "figures"),
    ("clients.0.predicted.down_bytes_per_step", lambda old: old - 1, "figures"),
    ("clients.0.predicted.device_seconds", lambda old: old * 1.001, "figures"),
    ("clients.0.predicted.wire_seconds", lambda old: old * 1.001, "figures"),
    ("clients.0.predicted.server_seconds", lambda old: old * 1.001, "figures"),
    ("clients.0.predicted.step_seconds", lambda old: old * 0.999, "figures"),
    ("clients.0.predicted.hidden_seconds", 0.1, "figures"),
    ("clients.0.predicted.wait_seconds", lambda old: old * 0.9, "figures"),
    ("clients.0.predicted.p50_step_seconds", lambda old: old * 0.9, "figures"),
    ("clients.0.predicted.p95_step_seconds", lambda old: old * 0.9, "figures"),
    ("clients.0.predicted.energy_joules", 1.0, "figures"),
    ("absent", [{"name": "ann"}], "C1_assign"),
    ("strategy", "static", None),
    ("servers.0.name", "other", "figures"),
    ("servers.0.device", "other", "figures"),
    ("servers.0.accelerators", 2, "figures"),
    ("servers.0.clients", 4, "figures"),
    ("servers.0.peak_memory_bytes", lambda old: old - 1, "figures"),
    ("servers.0.memory_limit_bytes", lambda old: old - 1, "figures"),
    ("servers.0.utilisation", 0.0, "figures"),
    ("servers.0.link_utilisation", 0.0, "figures"),
    ("servers.0.utilisation_limit", 0.7, "figures"),
    ("objectives.0.name", "slowest", "figures"),
    ("objectives.0.unit", "J", "figures"),
    ("objectives.0.value", lambda old: old * 0.999, "figures"),
    ("objectives.0.bound", lambda old: old * 1.01, "figures"),
    ("objectives.0.bound", lambda old: old * 0.9, "figures"),
    ("objectives.0.gap", 0.5, "figures"),
    ("objectives.0.status", "feasible", "figures"),
    ("bottleneck", "ann", "figures"),
    ("bottleneck", "nobody", "figures"),
]


@pytest.mark.parametrize(("path", "value", "label"), TAMPERED)
def test_every_tampered_field_is_caught(
    profile: Profile,
    office: ResolvedFleet,
    office_plan: Plan,
    path: str,
    value: Any,
    label: str | None,
) -> None:
    plan = office_plan
    assert labels(plan, profile, office) == set()
    tampered = change(plan, path, value)
    assert labels(tampered, profile, office) == ({label} if label else set())
    if label is None:
        return
    with pytest.raises(PlanError, match=label):
        check(tampered, {16: profile}, office)


def test_a_hash_that_is_known_is_compared(
    profile: Profile, office: ResolvedFleet, office_plan: Plan
) -> None:
    for known, labels in ((content_hash(office), set()), ("d" * 64, {"C0_inputs"})):
        found = violations(office_plan, {16: profile}, office, fleet_hash=known)
        assert {label for label, _ in found} == labels


def test_a_fleet_is_hashed_once(
    profile: Profile, office: ResolvedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []

    def counted(contract: BaseModel) -> str:
        hashed.append(contract)
        return content_hash(contract)

    for module in (checker, promise, solve):
        monkeypatch.setattr(module, "content_hash", counted)
    planned(profile, office)
    assert [one for one in hashed if isinstance(one, ResolvedFleet)] == [office]


def test_every_field_of_a_plan_is_in_the_table(profile: Profile, office: ResolvedFleet) -> None:
    def leaves(node: Any, path: str) -> set[str]:
        if isinstance(node, dict) and path != ".profile_hashes":
            return {leaf for key in node for leaf in leaves(node[key], f"{path}.{key}")}
        if isinstance(node, list | tuple) and node and isinstance(node[0], dict):
            return leaves(node[0], f"{path}.0")
        return {path.removeprefix(".")}

    every = {
        leaf
        for leaf in leaves(planned(profile, office).model_dump(), "")
        if not leaf.startswith("settings.") and leaf != "schema_version"
    }
    assert every <= {path for path, _, _ in TAMPERED}


@pytest.fixture(scope="module")
def spread(office: ResolvedFleet) -> ResolvedFleet:
    """Two machines, clients in no order, and a class that both serve."""
    clients = [
        client.model_copy(update={"count": 5 if client.name == "cat" else 1})
        for client in sorted(office.clients, key=lambda client: client.device.name)
    ]
    (server,) = office.servers
    servers = (server.model_copy(update={"count": 2}),)
    return office.model_copy(update={"clients": tuple(clients), "servers": servers})


@pytest.fixture(scope="module")
def spread_plan(profile: Profile, spread: ResolvedFleet) -> Plan:
    return planned(profile, spread)


FIGURES = [
    path.removeprefix("clients.0.")
    for path, _, label in TAMPERED
    if path.startswith("clients.0.") and label == "figures"
]


@settings(max_examples=100, deadline=None)
@given(picked=st.integers(0, 100), field=st.sampled_from(FIGURES), part=st.floats(1e-6, 1))
def test_one_wrong_figure_among_many_is_found(
    profile: Profile,
    spread: ResolvedFleet,
    spread_plan: Plan,
    picked: int,
    field: str,
    part: float,
) -> None:
    number = picked % len(spread_plan.clients)
    one = spread_plan.clients[number]
    assert len({client.server for client in spread_plan.clients}) == 2

    def wrong(old: Any) -> Any:
        if isinstance(old, str):
            return f"{old}-other"
        return old + 1 if isinstance(old, int) else (old or 1.0) * (1 + part)

    tampered = change(spread_plan, f"clients.{number}.{field}", wrong)
    found = [
        text for label, text in violations(tampered, {16: profile}, spread) if label == "figures"
    ]
    texts = [text for text in found if not text.startswith(("objective", "bottleneck"))]
    (text,) = texts
    assert text.startswith(f"{one.name}: {field.split('.')[-1]} is ")


LIMITS: dict[str, tuple[Callable[[], ResolvedFleet], Callable[[], ResolvedFleet]]] = {
    # label -> (a fleet that has a plan, the same with a limit that this plan breaks)
    "C2_device_memory": (
        lambda: fleet([("a", device(gflops=900), link())]),
        lambda: fleet([("a", device(gflops=900, usable_mib=430), link())]),
    ),
    "C3_wire": (
        lambda: fleet([("a", device(), link())]),
        lambda: fleet([("a", device(), link(data_budget_bytes=1000))]),
    ),
    "C4_server_memory": (
        lambda: fleet([("a", device(), link())], (device(), link(up=1e4, down=1e4))),
        lambda: fleet([("a", device(), link())], (device(usable_mib=400), link(up=1e4, down=1e4))),
    ),
    "C5_server_compute": (
        lambda: fleet([("a", device(), link())], (device(), link(up=1e4, down=1e4))),
        lambda: fleet(
            [("a", device(), link())],
            (device(), link(up=1e4, down=1e4)),
            server_utilisation=0.001,
        ),
    ),
    "C6_server_link_up": (
        lambda: fleet(
            [("a", device(gflops=900), link())], (device(gflops=900), link(up=100, down=1e4))
        ),
        lambda: fleet(
            [("a", device(gflops=900), link())], (device(gflops=900), link(up=10, down=1e4))
        ),
    ),
    "C6_server_link_down": (
        lambda: fleet(
            [("a", device(gflops=900), link())], (device(gflops=900), link(up=1e4, down=100))
        ),
        lambda: fleet(
            [("a", device(gflops=900), link())], (device(gflops=900), link(up=1e4, down=10))
        ),
    ),
    "C7_step_deadline": (
        lambda: fleet([("a", device(), link())]),
        lambda: fleet([("a", device(), link())], step_deadline_seconds=0.01),
    ),
    "C8_depth": (
        lambda: fleet([("a", device(gflops=2), link())]),
        lambda: fleet([("a", device(gflops=2), link(), 5)]),
    ),
}


def test_a_limit_that_one_of_many_breaks_is_named_with_it(
    profile: Profile, spread: ResolvedFleet, spread_plan: Plan
) -> None:
    for name in ("bob", "dan", "eve"):
        tight = spread.model_copy(
            update={
                "clients": tuple(
                    client.model_copy(update={"max_depth": 1, "min_depth": 9})
                    if client.name == name
                    else client
                    for client in spread.clients
                )
            }
        )
        dressed = change(spread_plan, "fleet_hash", content_hash(tight))
        found = [text for label, text in violations(dressed, {16: profile}, tight) if "C8" in label]
        assert found and all(text.startswith(f"{name}: ") for text in found)


@pytest.mark.parametrize("label", LIMITS)
def test_every_broken_limit_is_named(label: str) -> None:
    roomy, tight = (make() for make in LIMITS[label])
    plan = planned(minilm(), roomy)
    dressed = change(plan, "fleet_hash", content_hash(tight))
    assert label in labels(dressed, minilm(), tight)
    assert label not in labels(plan, minilm(), roomy)


def test_all_violations_are_listed_at_once(profile: Profile, office: ResolvedFleet) -> None:
    plan = planned(profile, office)
    plan = change(plan, "objectives.0.gap", 0.5)
    plan = change(plan, "clients.3.predicted.peak_memory_bytes", 1)
    with pytest.raises(PlanError) as caught:
        check(plan, {16: profile}, office)
    assert "objective total: gap" in caught.value.message
    assert "dan: peak_memory_bytes is 1" in caught.value.message
    assert caught.value.exit_code == 10
