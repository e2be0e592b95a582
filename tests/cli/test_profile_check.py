"""`flexp profile --check`: predicted beside measured, what is not run, and a broken promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flexp.cli import profile_check
from flexp.errors import RunError
from flexp.profiler import cache, limits, probe_runtime
from flexp.profiler.costs import client_peak_bytes
from flexp.profiler.limits import UsableMemory
from flexp.profiler.placement import Placement
from flexp.profiler.profile import Profile, ProfileSettings
from flexp.runtime import check
from flexp.runtime.check import MemoryCheck
from flexp.runtime.check_client import Case
from typer.testing import Result

MIB = 2**20
PROCESS = 400 * MIB
ENOUGH = 1 << 40


class Machine:
    """Stands for this machine: what it measures and has to use."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.predicted_over_measured: dict[int, float] = {}
        self.usable_bytes = ENOUGH
        self.ran: list[Placement] = []
        self.readings: list[tuple[int | None, bool, tuple[str, ...]]] = [(PROCESS, False, ())]
        self.threads: list[int] = []
        self.checkpointing: list[bool] = []

    def predicted(self, depth: int, **split: Any) -> int:
        return client_peak_bytes(self.profile, Placement(depth, **split), PROCESS)

    def measure(self, case: Case) -> int:
        self.ran.append(case.placement)
        predicted = client_peak_bytes(self.profile, case.placement, PROCESS)
        return round(predicted / self.predicted_over_measured.get(case.placement.depth, 1.0))

    def start(self, settings: ProfileSettings, threads: int, checkpointing: bool) -> Any:
        self.threads.append(threads)
        self.checkpointing.append(checkpointing)
        return Process()


class Process(SimpleNamespace):
    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None: ...

    def kill(self) -> None: ...


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> Machine:
    made = Machine(profile)
    monkeypatch.setattr(cache, "cached_profile", lambda *_: profile)
    monkeypatch.setattr(check, "measure", made.measure)
    monkeypatch.setattr(probe_runtime, "start", made.start)
    monkeypatch.setattr(probe_runtime, "read", lambda _: made.readings.pop(0))
    monkeypatch.setattr(
        limits, "usable_memory", lambda: UsableMemory(ENOUGH, made.usable_bytes, "made up")
    )
    return made


def check_rows(text: str) -> dict[str, list[str]]:
    _, _, after = text.partition("Memory, predicted and measured here")
    lines = [line.split() for line in after.splitlines() if line.split()]
    return {words[0]: words[1:] for words in lines if words[0].isdigit()}


def test_the_promise_holds(typed: Callable[..., Result], machine: Machine) -> None:
    machine.predicted_over_measured = {1: 1.029, 2: 0.991, 5: 1.0}
    result = typed("profile", "tiny", "--check")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "What each depth needs" in result.stdout
    rows = check_rows(result.stdout)
    assert {depth: cells[-2:] for depth, cells in rows.items()} == {
        "1": ["1.029", "yes"],
        "2": ["0.991", "yes"],
        "5": ["1.000", "yes"],
    }
    assert machine.ran == [Placement(1), Placement(2), Placement(5)]
    assert result.stderr.count("training a client process") == 3
    assert "depth 5: training a client process" in result.stderr


def test_a_broken_promise(typed: Callable[..., Result], machine: Machine) -> None:
    machine.predicted_over_measured = {1: 1.032, 2: 0.95}
    result = typed("profile", "tiny", "--check")
    assert result.exit_code == 16
    rows = check_rows(result.stdout)
    assert {depth: cells[-2:] for depth, cells in rows.items()} == {
        "1": ["1.032", "no"],
        "2": ["0.950", "no"],
        "5": ["1.000", "yes"],
    }
    assert "off at 2 of 3 depths: at depth 2 it is 0.950 of the measured" in result.stderr


def test_what_does_not_fit_is_not_run(typed: Callable[..., Result], machine: Machine) -> None:
    machine.usable_bytes = machine.predicted(2)
    result = typed("profile", "tiny", "--check", "--depths", "3,2,1")
    assert result.exit_code == 0, result.output
    assert machine.ran == [Placement(1), Placement(2)]
    assert check_rows(result.stdout)["3"][-4:] == ["-", "-", "not", "run"]
    assert "Not run: depths that need more than" in " ".join(result.stdout.split())


def test_nothing_fits(typed: Callable[..., Result], machine: Machine) -> None:
    machine.usable_bytes = 100 * MIB
    result = typed("profile", "tiny", "--check")
    assert (result.exit_code, machine.ran) == (16, [])
    assert "no depth could be checked: each needs more than the 100 MiB" in result.stderr


def test_json_is_the_check(typed: Callable[..., Result], machine: Machine, folder: Path) -> None:
    machine.usable_bytes = machine.predicted(2, top=1, checkpointing=True)
    words = ("--top", "1", "--checkpointing", "--depths", " 2, 4,2", "-o", "kept.json")
    result = typed("profile", "tiny", "--check", "--json", *words)
    assert result.exit_code == 0, result.output
    found = MemoryCheck.model_validate_json(result.stdout)
    two, four = (Placement(depth, top=1, checkpointing=True) for depth in (2, 4))
    assert [case.placement for case in found.cases] == machine.ran == [two]
    assert found.too_large == (four,)
    assert (found.runtime_bytes, found.usable_memory_bytes) == (PROCESS, machine.usable_bytes)
    assert Profile.model_validate_json((folder / "kept.json").read_bytes()) == machine.profile
    assert machine.checkpointing == [True]


def test_json_of_a_broken_promise_is_printed(
    typed: Callable[..., Result], machine: Machine
) -> None:
    machine.predicted_over_measured = {1: 0.5}
    result = typed("profile", "tiny", "--check", "--json", "--depths", "1")
    assert result.exit_code == 16
    assert not MemoryCheck.model_validate_json(result.stdout).holds


def test_a_process_that_compiled_is_measured_again(
    typed: Callable[..., Result], machine: Machine
) -> None:
    machine.readings = [(PROCESS + 30 * MIB, True, ()), (PROCESS, False, ())]
    found = typed("profile", "tiny", "--check", "--json", "--depths", "1").stdout
    assert MemoryCheck.model_validate_json(found).runtime_bytes == PROCESS
    assert machine.threads == 2 * [Case.model_fields["threads"].default]
    assert machine.checkpointing == 2 * [False]


def test_a_process_that_cannot_be_measured(typed: Callable[..., Result], machine: Machine) -> None:
    machine.readings = [(None, False, ("a tiny training run failed: killed",))]
    result = typed("profile", "tiny", "--check")
    assert (result.exit_code, machine.ran) == (14, [])
    assert "unknown here: a tiny training run failed: killed" in result.stderr


def test_a_client_process_that_fails(
    typed: Callable[..., Result], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(case: Case) -> int:
        raise RunError(f"a client process at depth {case.placement.depth} failed: killed")

    monkeypatch.setattr(check, "measure", killed)
    result = typed("profile", "tiny", "--check")
    assert result.exit_code == 14
    assert "at depth 1 failed: killed" in result.stderr


# command, exit code, what the message says
WRONG = {
    "depths alone": ("--depths 1", 5, ["--depths", "without --check"]),
    "no number": ("--check --depths 1,two", 5, ["--depths", "'two'", "--depths 1,3,5"]),
    "none": ("--check --depths ,", 5, ["--depths", "''"]),
    "negative": ("--check --depths=-1", 5, ["--depths", "'-1'"]),
    "zero": ("--check --depths 0", 10, ["depth 0", "6 blocks", "from 1 to 5"]),
    "too deep": ("--check --depths 1,6", 10, ["depth 6", "6 blocks", "from 1 to 5"]),
    "too deep with a top": ("--check --top 2 --depths 4", 10, ["2 at the top", "from 1 to 3"]),
    "csv to stdout": ("--check --csv -", 5, ["--csv -", "--check"]),
    "device of no use": ("--check --json --device laptop-2019", 5, ["--device", "--json"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_command(
    name: str, typed: Callable[..., Result], machine: Machine, folder: Path
) -> None:
    words, code, says = WRONG[name]
    result = typed("profile", "tiny", "-o", "out.yaml", *words.split())
    assert (result.exit_code, result.stdout, machine.ran) == (code, "", []), result.output
    assert [text for text in says if text not in result.stderr] == [], result.stderr
    assert not (folder / "out.yaml").exists()


def test_a_single_block_has_no_depths(typed: Callable[..., Result], machine: Machine) -> None:
    units = (machine.profile.embedding, machine.profile.block_units[0], machine.profile.head)
    fields = machine.profile.model_dump(exclude={"units"})
    found = Profile.model_validate({**fields, "units": units})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "cached_profile", lambda *_: found)
        result = typed("profile", "tiny", "--check")
    assert (result.exit_code, machine.ran) == (10, [])
    assert "impossible with 1 blocks" in result.stderr


@pytest.mark.slow
def test_real_processes(typed: Callable[..., Result], folder: Path) -> None:
    sizes = {"hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = {"model_type": "bert", "intermediate_size": 1024, "vocab_size": 20_000, **sizes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ("--batch", "32", "--length", "128", "--method", "full")
    result = typed("profile", str(folder), *words, "--check", "--json")
    assert result.exit_code == 0, result.output
    found = MemoryCheck.model_validate_json(result.stdout)
    assert [case.placement.depth for case in found.cases] == [1, 2]
    assert found.cases[0].measured_bytes < found.cases[1].measured_bytes


def test_depths_are_in_order_and_each_once() -> None:
    assert profile_check.asked_depths(" 5,1, 3,1", True) == (1, 3, 5)
