"""Predicted peak memory against real training processes: benchmarks/memory.py on a few cases."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "memory.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("memory_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="pins glibc's allocator")
@pytest.mark.parametrize("number", [0, 2, 4, 6])
def test_prediction_is_within_three_percent(benchmark: ModuleType, number: int) -> None:
    assert benchmark.compare(number) == pytest.approx(1.0, abs=0.03)
