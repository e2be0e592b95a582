"""The alternatives against numbers computed by hand, on a fleet of three."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from flexp.planner.fleet import ResolvedFleet
from flexp.planner.plan import Plan
from flexp.planner.roi.alternatives import (
    by_fedavg,
    by_flexp,
    by_server,
    no_model,
    with_new_devices,
)
from flexp.planner.roi.costs import read_costs
from flexp.planner.roi.lines import Setting
from flexp.planner.roi.result import Alternative
from flexp.planner.roi.work import fits, step_flops, trainable_bytes, whole_model_peak_bytes
from flexp.planner.solve import Wanted, make_plan
from flexp.planner.value import ValueCurve, ValuePoint
from flexp.profiler.profile import Profile, UnitProfile

from ..conftest import device, fleet, link

COSTS = """\
schema_version: 1
currency: EUR
discount_rate: 0.1
years: 2
runs_per_year: 10
energy_per_kwh: 0.5
link_per_gb: 0
metered_per_gb: 4
hour_of_work: 20
setup_hours: 10
setup_hours_per_device: 1
hours_per_month: 1
tasks_per_device_day: 100
days_per_year: 200
value_per_task: 0.05
dropout: 0.2
accuracy_central: 0.9
accuracy_fedavg: 0.5
data_gb_per_device_year: 3
local_steps: 25
small_server_per_hour: 2
server_per_hour: 6
replacement: pi-5
device_life_years: 2
devices: {pi-5: 100}
"""
CURVE = ValueCurve(source="made up", points=(ValuePoint(depth_share=0.5, value=0.8),))


@pytest.fixture
def small(profile: Profile) -> ResolvedFleet:
    """Two laptops, one of them on a metered link, and a tablet too small for the whole model."""
    made = fleet(
        [
            (
                "ann",
                device("laptop", 60).model_copy(update={"watts": 30.0}),
                link("lan", 80, 80, 0),
            ),
            ("bob", device("laptop", 60), link("sim", 8, 8, 0, data_budget_bytes=10**12)),
            ("cat", device("tablet", 15, 500), link("lan", 80, 80, 0)),
        ],
        steps_per_client=100,
    )
    assert [fits(profile, client) for client in made.clients] == [True, True, False]
    return made


@pytest.fixture
def setting(profile: Profile, small: ResolvedFleet, tmp_path: Path) -> Setting:
    path = tmp_path / "costs.yaml"
    path.write_text(COSTS, encoding="utf-8")
    return Setting(profile, small, read_costs(path), CURVE)


def amounts(found: Alternative) -> dict[str, Decimal]:
    return {line.name: line.amount for line in found.lines}


def test_whole_model_memory_by_hand() -> None:
    unit = UnitProfile(
        name="unit",
        parameters=25,
        parameter_bytes=100,
        trainable_bytes=10,
        largest_trainable_bytes=10,
        forward_flops=1,
        backward_flops=1,
        saved_bytes=50,
        forward_transient_bytes=20,
        backward_transient_bytes=30,
        boundary_bytes=8,
    )
    made = Profile.model_construct(
        units=(unit, unit), settings=type("S", (), {"optimizer": "adamw"})()
    )
    # weights 200, AdamW's state 40; live 50 + 50 + 30 in the last unit's backward
    assert whole_model_peak_bytes(made, 1000) == 1000 + 200 + 40 + 130


def test_no_model(setting: Setting) -> None:
    found = no_model(setting)
    assert (found.npv, found.devices, found.left_out, found.lines) == (0, 0, 3, ())


def test_central(setting: Setting) -> None:
    found = by_server(setting)
    hours = 3 * 100 * step_flops(setting.profile) / 10_000e9 / 3600
    model = sum(unit.parameter_bytes for unit in setting.profile.units)
    assert amounts(found) == {
        "setting up": Decimal("-260.00"),  # 13 h of 20
        "people": Decimal("-240.00"),
        "data": Decimal("0.00"),
        # bob alone: 3 GB a year, and the model ten times
        "data, metered_per_gb": -(4 * (3 + Decimal(model) * 10 / 10**9)).quantize(Decimal("0.01")),
        "value": Decimal("2700.00"),  # 3 · 0.9 · 20,000 · 0.05
        "server, rented": -(Decimal(6) * Decimal(repr(hours)) * 10).quantize(Decimal("0.01")),
    }
    yearly = sum(line.amount for line in found.lines if line.when == "yearly")
    assert found.flows == (Decimal("-260.00"), yearly, yearly)
    npv = -260 + yearly / Decimal("1.1") + yearly / Decimal("1.21")
    assert found.npv == npv.quantize(Decimal("0.01"))


def test_fedavg_leaves_out_who_cannot(setting: Setting) -> None:
    found = by_fedavg(setting)
    assert (found.devices, found.left_out) == (2, 1)
    assert "1 tablet" in found.remarks[0]
    compute = 100 * step_flops(setting.profile) / 60e9
    sent = trainable_bytes(setting.profile)
    slowest = (compute + 4 * 2 * 8 * sent / 8e6) / 3600  # bob: four averages at 8 Mbit/s
    assert amounts(found) == {
        "setting up": Decimal("-240.00"),
        "people": Decimal("-240.00"),
        "data": Decimal("0.00"),
        "data, metered_per_gb": -(4 * Decimal(10 * 4 * 2 * sent) / 10**9).quantize(Decimal("0.01")),
        "energy of the devices": -(Decimal(repr(compute * 30 / 3600)) / 1000 * 10 / 2).quantize(
            Decimal("0.01")
        ),
        "server that averages": -(Decimal(2) * Decimal(repr(slowest)) * 10).quantize(
            Decimal("0.01")
        ),
        "value": Decimal("800.00"),  # 2 · 0.5 · 20,000 · 0.05 · 0.8
    }


def test_new_devices(setting: Setting) -> None:
    found = with_new_devices(setting)
    assert (found.devices, found.left_out) == (3, 0)
    lines = amounts(found)
    assert (lines["new devices"], lines["value"]) == (Decimal("-100.00"), Decimal("1200.00"))
    assert found.flows[0] == Decimal("-100.00") + Decimal("-260.00")
    assert found.flows[2] == found.flows[1]  # a life of two years has nothing left after two


def test_flexp(setting: Setting, profile: Profile) -> None:
    plan = make_plan({16: profile}, setting.fleet, Wanted(time_limit_seconds=10))
    found = by_flexp(setting, plan)
    lines = amounts(found)
    assert lines["value"] == Decimal("1920.00")  # 3 · 0.8 · 20,000 · 0.05 · 0.8
    hours = max(c.steps * c.predicted.step_seconds for c in plan.clients) / 3600
    assert lines["server, rented"] == -(Decimal(6) * Decimal(repr(hours)) * 10).quantize(
        Decimal("0.01")
    )
    bob = next(client for client in plan.clients if client.name == "bob")
    moved = 100 * (bob.predicted.up_bytes_per_step + bob.predicted.down_bytes_per_step)
    expected = -(4 * Decimal(moved * 10) / 10**9).quantize(Decimal("0.01"))
    assert lines["data, metered_per_gb"] == expected
    names = {name for line in found.lines for name in line.assumes}
    assert {"curve", "dropout", "value_per_task", "server_per_hour"} <= names


def test_an_owned_server_and_points(setting: Setting, office_plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "owned.yaml"
    text = COSTS.replace(
        "server_per_hour: 6", "server: owned\nserver_price: 900\nserver_life_years: 3"
    )
    path.write_text(text + "value_per_point: 7\n", encoding="utf-8")
    owned = Setting(setting.profile, setting.fleet, read_costs(path), CURVE)
    lines = amounts(by_server(owned))
    assert lines["server, bought"] == Decimal("-900.00")
    assert lines["value"] == Decimal("1890.00")  # 3 devices · 90 points · 7
    flows = by_server(owned).flows
    assert flows[2] - flows[1] == Decimal("300.00")  # a year of three is left
