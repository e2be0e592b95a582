"""`flexp train` killed with SIGKILL at any moment, and resumed: the same end to the last bit."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from flexp.catalog.files import write_contract
from flexp.planner.plan import Plan
from flexp.runtime.data import read_file
from flexp.runtime.train import train

from .jobs import (
    Recorder,
    assert_same_end,
    metrics,
    settings_for,
    small_plan,
    with_rounds,
    write_csv,
)
from .processes import Process, Starter, forks, kill, spawn

Checkpoint = Callable[[str], Path]
EVERY = 1
"""Steps between two checkpoints."""


class Attempt:
    """One run folder, and what is typed to train in it."""

    def __init__(self, folder: Path, plan: Plan, together: int) -> None:
        self.folder = folder / "run"
        write_contract(plan, folder / "plan.yaml")
        write_csv(folder / "rows.csv")
        self.begin = [
            *("train", str(folder / "plan.yaml"), "--data", str(folder / "rows.csv")),
            *("-o", str(self.folder), "--checkpoint-every", str(EVERY), "--quiet"),
            *("--together", str(together)),
        ]

    def words(self) -> list[str]:
        begun = (self.folder / "run.json").exists()
        return ["train", "--resume", "-o", str(self.folder), "-q"] if begun else self.begin

    def signs(self) -> set[tuple[str, int]]:
        """What changes as soon as the process works in the folder."""
        found = set()
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                found.add((path.name, path.stat().st_mtime_ns))
        return found

    def writes_checkpoint(self) -> bool:
        names = [path.name for path in (self.folder / "checkpoint").glob("*")]
        return any(name.endswith(".partial") or name.startswith(".") for name in names)

    def complete(self) -> bool:
        return (self.folder / "summary.json").exists()


def stop_in_checkpoint(attempt: Attempt, process: Process) -> None:
    """Halt the process while a file of a checkpoint is half-written."""
    while True:
        wait_until(attempt.writes_checkpoint, 60)
        os.kill(process.pid, signal.SIGSTOP)
        if attempt.writes_checkpoint():
            return
        os.kill(process.pid, signal.SIGCONT)


def wait_until(happens: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happens() and time.monotonic() < end:
        time.sleep(0.0002)


def reference(folder: Path, plan: Plan, together: int) -> Path:
    """The same run, undisturbed, in this process."""
    data = read_file(folder / "rows.csv")
    given = {"data_hash": data.fingerprint(), "learning_rate": 3e-3, "together": together}
    settings = settings_for(plan, **given)
    train(plan, settings, data, folder / "whole", Recorder().observer())
    return folder / "whole"


def check(
    folder: Path,
    model: Path,
    server_side: str,
    start: Starter,
    kills: int,
    steps: int,
    together: int = 1,
) -> None:
    """Kill `kills` times, every other time while a checkpoint is written, then let it end."""
    plan = small_plan(model, server_side=server_side)
    plan = with_rounds(plan, steps)
    attempt = Attempt(folder, plan, together)
    whole = reference(folder, plan, together)
    expected = metrics(whole)
    moments, writing = random.Random(kills), 0
    for number in range(kills):
        before = attempt.signs()
        process = start(attempt.words())
        wait_until(lambda before=before: attempt.signs() != before, 60)
        if number % 2:
            stop_in_checkpoint(attempt, process)
        else:
            time.sleep(moments.uniform(0.0, 0.2))
        assert kill(process) == -signal.SIGKILL
        writing += attempt.writes_checkpoint()
        lines = metrics(attempt.folder)
        assert lines == expected[: len(lines)]
    assert writing >= kills // 2
    assert start(attempt.words()).wait() == 0
    assert_same_end(whole, attempt.folder)


@pytest.mark.parametrize("together", [1, 2])
def test_killed_twice(tmp_path: Path, checkpoint: Checkpoint, together: int) -> None:
    with forks() as start:
        check(tmp_path, checkpoint("bert"), "shared", start, kills=2, steps=20, together=together)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server_side", "together"), [("shared", 1), ("personal", 1), ("aligned", 1), ("aligned", 3)]
)
def test_killed_at_20_moments(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str, together: int
) -> None:
    with forks() as start:
        check(tmp_path, checkpoint("bert"), server_side, start, 20, steps=60, together=together)


@pytest.mark.slow
def test_killed_as_a_fresh_interpreter(tmp_path: Path, checkpoint: Checkpoint) -> None:
    check(tmp_path, checkpoint("bert"), "shared", spawn, kills=20, steps=60)
