"""The tornado's ends, where there is a plan and where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flexp.planner.roi.study import Study
from flexp.planner.roi.tornado import STEP, faster, tornado


@pytest.mark.parametrize("deadline", [0.62, 0.8])
def test_an_end_without_a_plan_is_the_nearest_with_one(study: Study, deadline: float) -> None:
    fleet = study.setting.fleet
    policy = fleet.policy.model_copy(update={"step_deadline_seconds": deadline})
    setting = replace(study.setting, fleet=fleet.model_copy(update={"policy": policy}))

    def possible(percent: int) -> bool:
        fleet = faster(setting.fleet, 1 + percent / 100)
        return study.flexp(replace(setting, fleet=fleet)).possible

    slower = [-percent for percent in range(0, 51, STEP) if possible(-percent)]
    assert slower
    (swing,) = (one for one in tornado(setting, study.flexp) if one.name == "bandwidth")
    assert swing.high == "+50%"
    assert swing.low == f"{min(slower):+}%"
    assert swing.beyond and all(
        text.startswith(f"no plan at {min(slower) - STEP:+}%: ") for text in swing.beyond
    )
