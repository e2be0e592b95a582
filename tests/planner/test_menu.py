"""What a client may be asked to do."""

from __future__ import annotations

import pytest
from flexp.planner.fleet import Policy
from flexp.planner.menu import make_menu
from flexp.profiler.profile import Profile


@pytest.mark.parametrize(
    ("method", "tied", "heads"),
    [
        ("lora", True, {"device", "server"}),
        ("head", False, {"device", "server"}),
        ("head", True, {"device"}),
        ("full", False, {"device"}),
    ],
)
def test_where_the_head_may_be(profile: Profile, method: str, tied: bool, heads: set[str]) -> None:
    settings = profile.settings.model_copy(update={"method": method})
    head = profile.head.model_copy(update={"tied_bytes": 4096 if tied else 0})
    units = (*profile.units[:-1], head)
    fields = {name: getattr(profile, name) for name in Profile.model_fields}
    changed = Profile(**{**fields, "settings": settings, "units": units})
    menu = make_menu({settings.batch: changed}, Policy(steps_per_client=1, labels_may_leave=True))
    assert {variant.placement.head for variant in menu.variants} == heads
    menu = make_menu({settings.batch: changed}, Policy(steps_per_client=1))
    assert {variant.placement.head for variant in menu.variants} == {"device"}
