"""`flexp limits`: 80 columns, every limit and front, JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from flexp.catalog.files import read_contract
from flexp.planner.whatif.carries import Limits
from flexp.profiler import cache
from flexp.profiler.profile import Profile, ProfileSettings

from .conftest import Type


def test_limits(
    typed: Type, folder: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached(model: str, settings: ProfileSettings) -> Profile:
        return profile.model_copy(update={"model": model, "settings": settings})

    monkeypatch.setattr(cache, "cached_profile", cached)
    words = ("limits", "fleet.yaml", "--profile", "profile.json", "--models", "tiny,huge")
    result = typed(*words, "--time-limit", "0.5", "-o", "out.json")
    assert result.exit_code == 0, result.output
    made = read_contract(Limits, folder / "out.json")
    assert [one.name for one in made.limits] == ["model", "batch", "depth", "devices"]
    assert [front.metric for front in made.fronts] == ["server", "value"]
    assert max(map(len, result.stdout.splitlines())) <= 80
    for text in ("largest model", "deepest for all", "static", "memory-only", "optimized"):
        assert text in result.stdout
