"""A model is never smaller than its entry says."""

from __future__ import annotations

import pytest
from flexp.catalog.models.entry import model_names
from flexp.catalog.models.size import least_parameters
from flexp.errors import UnsupportedModelError
from flexp.profiler.cache import cached_profile
from flexp.profiler.profile import ProfileSettings


def test_least_parameters() -> None:
    assert least_parameters("minilm-l6") == 6 * 2 * 384 * 1536
    assert least_parameters("opt-6.7b") == 32 * 2 * 4096 * 16384
    assert least_parameters("gpt2") == 0  # its entry leaves the inner width to its class
    assert least_parameters("./somewhere") == 0


@pytest.mark.slow  # profiles the whole catalogue
def test_no_model_is_smaller() -> None:
    for name in model_names():
        try:
            profile = cached_profile(name, ProfileSettings())
        except UnsupportedModelError:
            continue
        blocks = sum(unit.parameters for unit in profile.block_units)
        assert least_parameters(name) <= blocks, name
