"""benchmarks/profile.py has the name of a module that cProfile, hence torch, imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
IMPORTED = """
import sys
sys.path.insert(0, sys.argv[1])
import cProfile, profile
print(profile.__file__.startswith(sys.argv[1]), callable(profile.run))
"""


def test_a_script_beside_it_gets_the_standard_librarys() -> None:
    command = [sys.executable, "-c", IMPORTED, str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.slow
def test_fvcore_counts_what_flexp_counts() -> None:
    """The tables of one model: two tools, and a ratio of 1 for both."""
    words = ["--model", "bert-base", "--tool", "flexp", "--tool", "flexp --verify"]
    command = [sys.executable, str(FOLDER / "profile.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| flexp")]
    assert [row.split(" | ")[-1] for row in rows[-2:]] == ["1.0000 |", "1.0000 |"]
