"""A folder with a fleet, a profile and a plan, and a way to type commands in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flexp.catalog.files import write_contract
from flexp.cli.app import app
from flexp.planner.plan import ClientPlan, ObjectiveResult, Plan, Prediction, ServerPlan
from flexp.profiler import cache
from flexp.profiler.profile import Profile, ProfileSettings, UnitProfile
from typer.testing import CliRunner, Result

Type = Callable[..., Result]
MIB = 2**20

FLEET = """\
schema_version: 1
name: two-rooms
server:
  device: &desk
    name: desk
    ram_bytes: 16 GiB
    usable_memory_bytes: 8 GiB
    runtime_bytes: 400 MiB
    training_flops_per_second: 200 GFLOP/s
    source: made up for a test
  link: &wire
    name: wire
    up_bits_per_second: 100 Mbit/s
    down_bits_per_second: 100 Mbit/s
    rtt_seconds: 5 ms
    source: made up for a test
clients:
  - name: left
    device: *desk
    link: *wire
  - name: right
    device:
      name: board
      ram_bytes: 4 GiB
      usable_memory_bytes: 2 GiB
      runtime_bytes: 400 MiB
      training_flops_per_second: 20 GFLOP/s
      source: made up for a test
    link: *wire
"""


def unit(name: str, parameters: int, trainable: int, gflops: float, boundary: int) -> UnitProfile:
    return UnitProfile(
        name=name,
        parameters=parameters,
        parameter_bytes=4 * parameters,
        trainable_bytes=4 * trainable,
        largest_trainable_bytes=4 * trainable,
        forward_flops=round(gflops * 1e9),
        backward_flops=round(1.1 * gflops * 1e9),
        saved_bytes=14 * MIB,
        forward_transient_bytes=5 * MIB,
        backward_transient_bytes=9 * MIB,
        boundary_bytes=boundary,
    )


@pytest.fixture
def profile() -> Profile:
    """Six blocks, the fourth unlike the others."""
    boundary = 16 * 64 * 384 * 4
    blocks = [
        unit(f"block.{i}", 1_774_464, 12_288, 3.7 if i != 3 else 7.4, boundary) for i in range(6)
    ]
    return Profile(
        model="tiny",
        model_type="bert",
        config_hash="0" * 64,
        hidden_size=384,
        settings=ProfileSettings(),
        units=(
            unit("embedding", 11_920_896, 0, 0.0, boundary),
            *blocks,
            unit("head", 7_700, 7_700, 0.1, 0),
        ),
    )


@pytest.fixture
def plan() -> Plan:
    cost = Prediction(
        peak_memory_bytes=600 * MIB,
        up_bytes_per_step=786_432,
        down_bytes_per_step=786_432,
        device_seconds=0.2,
        wire_seconds=0.035,
        server_seconds=0.1,
        hidden_seconds=0.0,
        wait_seconds=0.0,
        step_seconds=0.335,
        p50_step_seconds=0.335,
        p95_step_seconds=0.4,
    )
    return Plan(
        model="tiny",
        config_hash="0" * 64,
        profile_hashes={16: "1" * 64},
        fleet="two-rooms",
        fleet_hash="2" * 64,
        blocks=6,
        settings=ProfileSettings(),
        steps_per_client=100,
        server_side="shared",
        strategy="optimized",
        objectives=(
            ObjectiveResult(
                name="total", unit="s", value=0.335, bound=0.335, gap=0.0, status="optimal"
            ),
        ),
        bottleneck="left",
        servers=(
            ServerPlan(
                name="server",
                device="desk",
                accelerators=1,
                clients=1,
                peak_memory_bytes=700 * MIB,
                memory_limit_bytes=8192 * MIB,
                utilisation=0.21,
                link_utilisation=0.04,
                utilisation_limit=0.6,
            ),
        ),
        clients=(
            ClientPlan(
                name="left",
                device="desk",
                link="wire",
                server="server",
                depth=2,
                codec="bf16",
                batch=16,
                steps=100,
                deepest=4,
                memory_limit_bytes=8192 * MIB,
                predicted=cost,
            ),
        ),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Profile, plan: Plan) -> Path:
    """The working folder: fleet.yaml, profile.json and plan.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    write_contract(profile, tmp_path / "profile.json")
    write_contract(plan, tmp_path / "plan.yaml")
    return tmp_path


@pytest.fixture
def typed(folder: Path) -> Type:
    """`typed("plan", "fleet.yaml")` runs `flexp plan fleet.yaml` in `folder`."""
    runner = CliRunner(env={"COLUMNS": "80"})

    def run(*words: str) -> Result:
        return runner.invoke(app, list(words), prog_name="flexp")

    return run


@pytest.fixture
def any_model(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model has the profile of the test's."""

    def cached(model: str, settings: ProfileSettings) -> Profile:
        return profile.model_copy(update={"model": model, "settings": settings})

    monkeypatch.setattr(cache, "cached_profile", cached)
