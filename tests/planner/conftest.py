"""A measured profile, a small office, and the random fleets of the properties."""

from __future__ import annotations

from typing import Any

import pytest
from flexp.catalog.device import Device, Link
from flexp.planner.fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from flexp.planner.plan import Plan
from flexp.planner.solve import Wanted, make_plan
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from hypothesis import strategies as st

MiB = 2**20
SOURCE = "made up for a test"


BLOCK = UnitProfile(
    name="block",
    parameters=1_786_752,
    parameter_bytes=7_147_008,
    trainable_bytes=49_152,
    largest_trainable_bytes=12_288,
    forward_flops=3_749_707_776,
    backward_flops=3_925_868_544,
    saved_bytes=17_694_720,
    forward_transient_bytes=27_197_440,
    backward_transient_bytes=11_001_864,
    boundary_bytes=1_572_864,
)


def minilm(blocks: int = 6) -> Profile:
    """all-MiniLM-L6 as the profiler measured it: batch 16, length 64, LoRA rank 8 on query and
    value, 20 labels."""
    first = {"name": "block.0", "backward_flops": 3_007_315_968}
    embedding = UnitProfile(
        name="embedding",
        parameters=11_918_592,
        parameter_bytes=47_682_560,
        trainable_bytes=0,
        largest_trainable_bytes=0,
        forward_flops=0,
        backward_flops=0,
        saved_bytes=1_589_376,
        forward_transient_bytes=6_414_976,
        backward_transient_bytes=0,
        boundary_bytes=1_572_864,
    )
    head = UnitProfile(
        name="head",
        parameters=7_700,
        parameter_bytes=30_800,
        trainable_bytes=30_800,
        largest_trainable_bytes=30_720,
        forward_flops=245_760,
        backward_flops=491_520,
        saved_bytes=54_728,
        forward_transient_bytes=3_174_400,
        backward_transient_bytes=1_577_616,
        boundary_bytes=0,
    )
    later = [BLOCK.model_copy(update={"name": f"block.{i}"}) for i in range(1, blocks)]
    return Profile(
        model="minilm-l6",
        model_type="bert",
        config_hash="c" * 64,
        hidden_size=384,
        settings=ProfileSettings(),
        units=(embedding, BLOCK.model_copy(update=first), *later, head),
    )


def device(
    name: str = "box", gflops: float = 20.0, usable_mib: int = 4096, runtime_mib: int = 350
) -> Device:
    return Device(
        name=name,
        ram_bytes=2 * usable_mib * MiB,
        usable_memory_bytes=usable_mib * MiB,
        runtime_bytes=runtime_mib * MiB,
        training_flops_per_second=gflops * 1e9,
        source=SOURCE,
    )


def link(
    name: str = "wire", up: float = 50.0, down: float = 100.0, rtt: float = 0.01, **more: Any
) -> Link:
    """Rates in Mbit/s."""
    return Link(
        name=name,
        up_bits_per_second=up * 1e6,
        down_bits_per_second=down * 1e6,
        rtt_seconds=rtt,
        source=SOURCE,
        **more,
    )


def fleet(
    clients: list[tuple[str, Device, Link]] | list[tuple[str, Device, Link, int]],
    server: tuple[Device, Link] | None = None,
    **policy: Any,
) -> ResolvedFleet:
    """Clients as (name, device, link[, min_depth]); a server that is never scarce unless given."""
    server_device, server_link = server or (
        device("rack", gflops=10_000, usable_mib=65_536),
        link("fibre", up=10_000, down=10_000, rtt=0.001),
    )
    return ResolvedFleet(
        name="test",
        servers=(ResolvedServer(device=server_device, link=server_link),),
        clients=tuple(
            ResolvedClient(
                name=entry[0],
                device=entry[1],
                link=entry[2],
                min_depth=entry[3] if len(entry) > 3 else 1,
            )
            for entry in clients
        ),
        policy=Policy(**policy),
    )


def planned(profile: Profile, made: ResolvedFleet, objective: str = "total", **wanted: Any) -> Plan:
    return make_plan({profile.settings.batch: profile}, made, Wanted(objective=objective, **wanted))


def depths(plan: Plan) -> dict[str, int]:
    return {name: client.depth for client in plan.clients for name in client.members}


def with_second_server(made: ResolvedFleet, speed: float) -> ResolvedFleet:
    """The same with another server, so many times as fast."""
    (first,) = made.servers
    rate = speed * first.device.training_flops_per_second
    machine = first.device.model_copy(update={"training_flops_per_second": rate})
    second = first.model_copy(update={"name": "second", "device": machine})
    return made.model_copy(update={"servers": (first, second)})


@pytest.fixture(scope="session")
def profile() -> Profile:
    return minilm()


@pytest.fixture(scope="session")
def office_plan(profile: Profile, office: ResolvedFleet) -> Plan:
    return planned(profile, office)


@pytest.fixture(scope="session")
def office() -> ResolvedFleet:
    """Five clients on a server whose compute is scarce."""
    return fleet(
        [
            ("ann", device("laptop", 60), link("wifi", 30, 60)),
            ("bob", device("laptop", 60), link("wifi", 30, 60)),
            ("cat", device("tablet", 15, 500), link("wifi", 30, 60)),
            ("dan", device("pi", 6, 1024), link("dsl", 10, 50, 0.02)),
            ("eve", device("desktop", 120), link("ethernet", 900, 900, 0.001), 2),
        ],
        (device("tower", 80, 8192), link("office", 500, 500, 0.001)),
    )


@st.composite
def random_fleets(draw: st.DrawFn, max_clients: int = 5) -> tuple[Profile, ResolvedFleet]:
    """Small fleets at the edge of what is possible: about half have a plan, and in a third of
    those a limit keeps some client from its fastest depth."""
    made = minilm(blocks=draw(st.integers(3, 5)))
    devices = [
        device(f"type{i}", draw(st.floats(5, 100)), draw(st.integers(440, 560)))
        for i in range(draw(st.integers(1, 3)))
    ]
    chosen = draw(st.lists(st.sampled_from(devices), min_size=1, max_size=max_clients))
    slow, fast = link("slow", 5, 80), link("fast", 40, 80)
    clients = [
        (
            f"client{i}",
            machine,
            draw(st.sampled_from([slow, fast])),
            draw(st.sampled_from([1, 1, 2])),
        )
        for i, machine in enumerate(chosen)
    ]
    n = len(clients)
    server = (
        device("server", n * draw(st.floats(20, 100)), 380 + n * draw(st.integers(60, 130))),
        link("s", n * draw(st.floats(15, 60)), n * draw(st.floats(15, 60))),
    )
    return made, fleet(
        clients,
        server,
        server_side=draw(st.sampled_from(["shared", "personal", "aligned"])),
        codec=draw(st.sampled_from(["fp32", "bf16", "int8"])),
        server_utilisation=draw(st.floats(0.3, 0.9)),
        step_deadline_seconds=draw(st.sampled_from([None, None, 8.0])),
    )
