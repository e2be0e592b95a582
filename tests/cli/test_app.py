"""The shell around the commands: start-up, version, errors, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flexp import __version__
from flexp.cli import app as shell
from flexp.cli import schema
from typer.testing import Result

HEAVY = ("torch", "transformers", "peft", "pulp", "highspy", "pydantic", "numpy", "yaml")
FOR_PEOPLE = ("rich", "flexp.planner.explanation", "flexp.cli.plan_display", "flexp.cli.plan_diff")
SCRIPT = """
import sys
from flexp.cli import render
from flexp.cli.app import app
render.MOMENT_SECONDS = 600.0  # however busy the machine is
try:
    app({words!r}, prog_name="flexp")
except SystemExit as end:
    assert not end.code, end.code
print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""
COUNT = """
import gc, sys
from flexp.cli.app import main
found = []
gc.callbacks.append(lambda phase, info: found.append(info))
sys.argv = ["flexp", "plan", "fleet.yaml", "--profile", "profile.json", "--json"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(len(found), file=sys.stderr)
"""


def modules_after(folder: Path, *words: str, heavy: tuple[str, ...] = HEAVY) -> tuple[str, str]:
    """What a fresh interpreter prints for the command, and which of `heavy` it then has loaded."""
    script = SCRIPT.format(words=list(words), heavy=heavy)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.strip().splitlines()[-1]


def test_help_starts_without_anything_heavy(tmp_path: Path) -> None:
    out, loaded = modules_after(tmp_path, "--help")
    for command in ("quickstart", "probe", "profile", "plan", "train", "schema"):
        assert command in out
    assert loaded == "[]"


def test_planning_from_a_profile_file_needs_no_torch(folder: Path) -> None:
    out, loaded = modules_after(folder, "plan", "fleet.yaml", "--profile", "profile.json")
    assert "two-rooms" in out
    assert "highspy" in loaded  # it has planned
    assert not {"'torch'", "'transformers'", "'peft'"} & set(loaded.strip("[]").split(", "))


def test_a_plan_as_json_loads_nothing_for_people(folder: Path) -> None:
    words = ("plan", "fleet.yaml", "--profile", "profile.json")
    out, loaded = modules_after(folder, *words, "--json", heavy=FOR_PEOPLE)
    assert json.loads(out)["fleet"] == "two-rooms"
    assert loaded == "[]"
    _, loaded = modules_after(folder, *words, heavy=FOR_PEOPLE)
    assert loaded == "['flexp.cli.plan_display', 'rich']"


def test_a_short_command_looks_for_no_garbage(folder: Path) -> None:
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == "0\n"


def test_version(typed: Callable[..., Result]) -> None:
    result = typed("--version")
    assert (result.exit_code, result.stdout) == (0, f"flexp {__version__}\n")


def test_a_real_process_prints_the_error_and_exits_with_its_code(folder: Path) -> None:
    command = [sys.executable, "-m", "flexp", "plan", "no.yaml", "--profile", "profile.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: no.yaml: no such file or folder\n"


@pytest.mark.parametrize(
    "words", [("--debug", "schema"), ("schema", "--debug")], ids=["before", "after"]
)
def test_debug_shows_the_traceback(
    words: tuple[str, ...], typed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "contracts", lambda: 1 / 0)
    result = typed(*words)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "error: ZeroDivisionError: division by zero" in result.stderr


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False)])
def test_debug_variable(
    value: str, shown: bool, typed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(shell.DEBUG_VARIABLE, value)
    result = typed("plan", "no.yaml", "--profile", "profile.json")
    assert (result.exit_code, "Traceback" in result.stderr) == (3, shown)


def test_an_unexpected_error_is_one_line_and_a_hint(
    typed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "contracts", lambda: 1 / 0)
    result = typed("schema")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: ZeroDivisionError: division by zero\nhint: run again with --debug to see where\n"
    )


def test_an_interrupt_is_a_line_and_130(
    typed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "contracts", lambda: os.kill(os.getpid(), signal.SIGINT))
    result = typed("schema")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")
