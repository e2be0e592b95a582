"""A MiniLM-like profile by analytic counts, a small office, and the random fleets of the
properties."""

from __future__ import annotations

from typing import Any

import pytest
from flexp.catalog.device import Device, Link
from flexp.planner.fleet import Policy, ResolvedClient, ResolvedFleet, ResolvedServer
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from hypothesis import strategies as st

MiB = 2**20
SOURCE = "made up for a test"


def minilm(blocks: int = 6, batch: int = 16, length: int = 64, rank: int = 8) -> Profile:
    """Roughly all-MiniLM-L6: hidden 384, vocabulary 30522, 20 labels, LoRA on query and value."""
    hidden, vocabulary, labels = 384, 30522, 20
    tokens = batch * length
    block = 12 * hidden**2 + 13 * hidden
    adapter = 4 * hidden * rank
    boundary = 4 * tokens * hidden
    linear_flops = 2 * tokens * block + 4 * tokens * length * hidden
    embedding = (vocabulary + 512 + 2) * hidden
    head = hidden * labels + labels
    units = [
        unit("embedding", embedding, 0, 0, 0, boundary, 2 * boundary, 0, boundary),
        *(
            unit(
                f"block.{index}",
                block + adapter,
                adapter,
                linear_flops,
                linear_flops,
                16 * boundary,
                10 * boundary,
                12 * boundary,
                boundary,
            )
            for index in range(blocks)
        ),
        unit(
            "head",
            head,
            head,
            2 * tokens * head,
            4 * tokens * head,
            boundary,
            boundary,
            boundary,
            0,
        ),
    ]
    settings = ProfileSettings(labels=labels, batch=batch, length=length, lora_rank=rank)
    return Profile(
        model="minilm-like",
        model_type="bert",
        config_hash="c" * 64,
        hidden_size=hidden,
        settings=settings,
        units=tuple(units),
    )


def unit(
    name: str,
    parameters: int,
    trainable: int,
    forward_flops: int,
    backward_flops: int,
    saved: int,
    forward_transient: int,
    backward_transient: int,
    boundary: int,
) -> UnitProfile:
    """Parameters and trainable as counts of fp32 values, the rest in FLOPs and bytes."""
    return UnitProfile(
        name=name,
        parameters=parameters,
        parameter_bytes=4 * parameters,
        trainable_bytes=4 * trainable,
        largest_trainable_bytes=4 * trainable // 2,
        forward_flops=forward_flops,
        backward_flops=backward_flops,
        saved_bytes=saved,
        forward_transient_bytes=forward_transient,
        backward_transient_bytes=backward_transient,
        boundary_bytes=boundary,
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
        server=ResolvedServer(device=server_device, link=server_link),
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


@pytest.fixture
def profile() -> Profile:
    return minilm()


@pytest.fixture
def office() -> ResolvedFleet:
    """Five clients on a server whose compute is scarce."""
    return fleet(
        [
            ("ann", device("laptop", 60), link("wifi", 30, 60)),
            ("bob", device("laptop", 60), link("wifi", 30, 60)),
            ("cat", device("tablet", 15, 600), link("wifi", 30, 60)),
            ("dan", device("pi", 6, 1024), link("dsl", 10, 50, 0.02)),
            ("eve", device("desktop", 120), link("ethernet", 900, 900, 0.001), 2),
        ],
        (device("tower", 80, 8192), link("office", 500, 500, 0.001)),
    )


@st.composite
def random_fleets(draw: st.DrawFn, max_clients: int = 5) -> tuple[Profile, ResolvedFleet]:
    """Small fleets around the edge of feasibility: every shared limit binds in some of them."""
    made = minilm(blocks=draw(st.integers(2, 5)))
    devices = [
        device(f"type{i}", draw(st.floats(1, 200)), draw(st.integers(450, 900)))
        for i in range(draw(st.integers(1, 3)))
    ]
    clients = [
        (
            f"client{i}",
            draw(st.sampled_from(devices)),
            link("l", draw(st.sampled_from([5.0, 40.0])), 80.0),
            draw(st.integers(1, 2)) if made.blocks > 2 else 1,
        )
        for i in range(draw(st.integers(1, max_clients)))
    ]
    server = (
        device("server", draw(st.floats(5, 300)), draw(st.integers(500, 1500))),
        link("s", draw(st.floats(5, 200)), draw(st.floats(5, 200))),
    )
    sides = st.sampled_from(["shared", "personal", "aligned"])
    codecs = st.sampled_from(["fp32", "bf16", "int8"])
    return made, fleet(
        clients,
        server,
        server_side=draw(sides),
        codec=draw(codecs),
        server_utilisation=draw(st.floats(0.1, 0.95)),
        step_deadline_seconds=draw(st.one_of(st.none(), st.floats(0.5, 60))),
    )
