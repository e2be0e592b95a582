"""Predicted peak memory against real client processes: cases of benchmarks/memory.py."""

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
@pytest.mark.parametrize(
    ("model", "depth", "method", "shape", "other"),
    [
        ("bert-base", 11, "full", (16, 64), {}),
        ("bert-base", 1, "lora", (4, 256), {}),
        ("gpt2", 5, "full", (8, 128), {"optimizer": "sgd"}),
        ("gpt2", 1, "head", (16, 64), {}),
        ("smollm2-135m", 14, "lora", (8, 128), {"checkpointing": True}),
        ("smollm2-135m", 1, "full", (4, 256), {"top": 2}),
    ],
)
def test_the_promise_holds(
    benchmark: ModuleType,
    model: str,
    depth: int,
    method: str,
    shape: tuple[int, int],
    other: dict[str, object],
) -> None:
    found = benchmark.compare(benchmark.case(model, depth, method, shape, **other))
    assert found.holds, found.ratio
