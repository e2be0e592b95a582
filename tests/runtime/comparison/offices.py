"""A small office: three devices, a server, and rows that belong to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flexp.catalog.device import Device, Link
from flexp.planner.fleet import ResolvedServer
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from flexp.runtime.comparison.cell import Cell, DataOrder, Member
from flexp.runtime.scenario import CALM

from ..jobs import CLIENTS, text_data

SOURCE = "made up for a test"
FLEET = """\
schema_version: 1
name: office
devices:
  box: {ram_bytes: 8 GiB, usable_memory_bytes: 4 GiB, runtime_bytes: 300 MiB,
        training_flops_per_second: 50 MFLOP/s, source: made up for a test}
  rack: {ram_bytes: 8 GiB, usable_memory_bytes: 4 GiB, runtime_bytes: 300 MiB,
         training_flops_per_second: 50 GFLOP/s, source: made up for a test}
links:
  lan: {up_bits_per_second: 100 Mbit/s, down_bits_per_second: 100 Mbit/s, rtt_seconds: 1 ms,
        source: made up for a test}
  fibre: {up_bits_per_second: 10 Gbit/s, down_bits_per_second: 10 Gbit/s, rtt_seconds: 1 ms,
          source: made up for a test}
server: {device: rack, link: fibre}
clients:
  - {name: ada, device: box, link: lan}
  - {name: bo.2, device: box, link: lan}
  - {name: cy, device: box, link: lan, max_depth: 2}
policy: {steps_per_client: 4, codec: fp32}
"""


def device(gflops: float) -> Device:
    return Device(
        name=f"box-{gflops:g}",
        ram_bytes=8 * 2**30,
        usable_memory_bytes=2**30,
        runtime_bytes=2**28,
        training_flops_per_second=gflops * 1e9,
        source=SOURCE,
    )


LAN = Link(
    name="lan",
    up_bits_per_second=8e6,
    down_bits_per_second=16e6,
    rtt_seconds=0.01,
    source=SOURCE,
)
SERVER = ResolvedServer(
    device=device(100.0),
    link=LAN.model_copy(update={"up_bits_per_second": 80e6, "down_bits_per_second": 80e6}),
)


def unit(name: str, trainable: int, gflops: float) -> UnitProfile:
    return UnitProfile(
        name=name,
        parameters=25,
        parameter_bytes=100,
        trainable_bytes=trainable,
        largest_trainable_bytes=trainable,
        forward_flops=round(gflops * 1e9),
        backward_flops=round(2 * gflops * 1e9),
        saved_bytes=50,
        forward_transient_bytes=20,
        backward_transient_bytes=30,
        boundary_bytes=4 * 4 * 16 * 32 if name != "head" else 0,
    )


def small_profile(model: str = "tiny") -> Profile:
    """Four blocks of 1 + 2 GFLOP, batch 4, length 16, width 32."""
    blocks = [unit(f"block.{index}", 8, 1.0) for index in range(4)]
    return Profile(
        model=model,
        model_type="bert",
        config_hash="0" * 64,
        hidden_size=32,
        settings=ProfileSettings(labels=3, batch=4, length=16, lora_rank=4),
        units=(unit("embedding", 0, 0.0), *blocks, unit("head", 12, 0.1)),
    )


def small_cell(folder: Path, algorithm: str = "flexp-sfl", **changes: Any) -> Cell:
    """Depths 1, 2 and 3 on devices of 10, 5 and 2 GFLOP/s."""
    members = {
        name: Member(device=device(speed), link=LAN, depth=depth, codec="fp32")
        for name, depth, speed in zip(CLIENTS, (1, 2, 3), (10.0, 5.0, 2.0), strict=True)
    }
    fields = {
        "algorithm": algorithm,
        "options": {"learning_rate": 1e-2},
        "seed": 0,
        "data": DataOrder(name="toy", hash=text_data().fingerprint()),
        "profile": small_profile(str(folder)),
        "members": members,
        "server": SERVER,
        "steps": 4,
        "evaluate_every": 2,
        "scenario": CALM,
        "model": str(folder),
    }
    return Cell.model_validate({**fields, **changes})
