"""The memory of a process that trains a tiny model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from flexp.profiler import probe_runtime


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_tiny_run_prints_resident_bytes(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_runtime, "resident_bytes", lambda: 12345)
    monkeypatch.setattr(probe_runtime, "count_compiled", lambda: lambda: 7)
    probe_runtime.main(method, torch.get_num_threads(), checkpointing=True)
    assert capsys.readouterr().out == "12345 7\n"


COMPILED = """
import sys
from flexp.profiler.probe_runtime import count_compiled
compiled = count_compiled()
sys.path.insert(0, sys.argv[1])
import some_module
print(compiled())
"""


@pytest.mark.parametrize(("kept", "counts"), [("", ["1", "0"]), ("1", ["0", "0"])])
def test_modules_are_counted_when_their_bytecode_is_written(
    tmp_path: Path, kept: str, counts: list[str]
) -> None:
    """Nothing is counted where no bytecode is kept: the next process compiles again."""
    (tmp_path / "some_module.py").write_text("x = 1\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": kept}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    found = []
    for _ in counts:
        command = [sys.executable, "-c", COMPILED, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.append(done.stdout.strip())
    assert found == counts
