from __future__ import annotations

import pytest
from flexp.planner.limits import shared_limits
from flexp.profiler import costs
from flexp.profiler.profile import Profile

from .conftest import device, fleet, link
from .test_options import CHOICE


def test_caps_and_loads(profile: Profile) -> None:
    made = fleet(
        [("a", device(), link())],
        (device(usable_mib=1024, runtime_mib=100), link(up=200, down=100)),
        server_utilisation=0.5,
        server_side="personal",
    )
    found = {limit.label: limit for limit in shared_limits(profile, made)}
    assert {label: limit.cap for label, limit in found.items()} == {
        "C4_server_memory": 1024 * 2**20,
        "C5_server_compute": 0.5,
        "C6_server_link_up": 100e6,
        "C6_server_link_down": 50e6,
    }
    backbone = costs.server_backbone_bytes(profile, "personal")
    assert found["C4_server_memory"].used == 100 * 2**20 + backbone
    loads = {label: limit.load(CHOICE) for label, limit in found.items()}
    assert loads == pytest.approx(
        {
            "C4_server_memory": 1,
            "C5_server_compute": 0.25,
            "C6_server_link_up": 8 * 400 / 2,  # the server's up carries the clients' down
            "C6_server_link_down": 8 * 600 / 2,
        }
    )
