"""Clients that load their part of a large checkpoint: benchmarks/device.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from flexp.catalog.models.entry import load_config
from flexp.profiler.measure import profile_config

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "device.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="pins glibc's allocator")
def test_the_peak_is_within_five_percent_of_the_promise() -> None:
    spec = importlib.util.spec_from_file_location("device_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    profile = profile_config("large", load_config(benchmark.MODEL), benchmark.SETTINGS)
    assert sum(unit.parameters for unit in profile.units) > 300e6
    found = list(benchmark.compare(benchmark.MODEL))
    assert len({case.placement.depth for case in found}) == 3
    for case in found:
        assert case.ratio == pytest.approx(1, abs=0.05), case.placement
