"""Stopping and resuming in one process: the same end, damaged and missing files, a full disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flexp.errors import PlanError, RunError
from flexp.runtime.run_folder import held

from .jobs import CLIENTS, CLOCK, STEPS, assert_same_end, run, small_plan

Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Path:
    """A run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run(small_plan(checkpoint("bert")), folder)
    return folder


@pytest.mark.parametrize("server_side", ["shared", "personal", "aligned"])
@pytest.mark.parametrize("stop_after", [1, 7])
def test_a_resumed_run_ends_with_the_same_weights(
    tmp_path: Path, checkpoint: Checkpoint, server_side: str, stop_after: int
) -> None:
    plan = small_plan(checkpoint("bert"), server_side=server_side)
    changes = {"alignment": "linear:0.1"} if server_side == "aligned" else {}
    undisturbed = run(plan, tmp_path / "whole", **changes)
    assert run(plan, tmp_path / "parts", stop_after=stop_after, **changes) is None
    resumed = run(plan, tmp_path / "parts", resume=True, **changes)
    assert undisturbed is not None and resumed is not None
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    for name, client in resumed.clients.items():
        clockless = {key: getattr(undisturbed.clients[name], key) for key in CLOCK}
        assert client.model_copy(update=clockless) == undisturbed.clients[name]
    assert not (tmp_path / "parts" / "checkpoint").exists()


def test_steps_after_the_last_checkpoint_are_done_again(
    tmp_path: Path, checkpoint: Checkpoint, whole: Path
) -> None:
    plan = small_plan(checkpoint("bert"))
    with pytest.raises(OSError, match="power cut"):
        run(plan, tmp_path, crash_after=7)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 7
    assert run(plan, tmp_path, resume=True) is not None
    assert_same_end(whole, tmp_path)


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, checkpoint: Checkpoint, whole: Path
) -> None:
    plan = small_plan(checkpoint("bert"))
    assert run(plan, tmp_path, stop_after=0) is None
    assert not (tmp_path / "checkpoint").exists()
    assert run(plan, tmp_path, resume=True) is not None
    assert_same_end(whole, tmp_path)


def test_a_run_killed_after_its_last_act_is_complete(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=4)
    kept = shutil.copytree(tmp_path / "checkpoint", tmp_path / "kept")
    summary = run(plan, tmp_path, resume=True)
    kept.rename(tmp_path / "checkpoint")
    assert run(plan, tmp_path, resume=True) == summary
    assert not (tmp_path / "checkpoint").exists()


def test_the_disk_use_is_bounded(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=14, checkpoint_every=1)
    names = ["000014.json", "000014.safetensors", "000015.json", "000015.safetensors"]
    leftovers = [tmp_path / "checkpoint" / "000016.partial", tmp_path / ".plan.yaml.abcd_123"]
    for path in leftovers:
        path.write_bytes(b"what a kill leaves")
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir())[:4] == names
    run(plan, tmp_path, resume=True, stop_after=1, checkpoint_every=1)
    assert len(list((tmp_path / "checkpoint").iterdir())) == 4
    assert not any(path.exists() for path in leftovers)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_the_last_good_checkpoint_is_used(
    tmp_path: Path, checkpoint: Checkpoint, whole: Path, suffix: str, damage: str
) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=9)  # checkpoints after steps 8 and 9
    hurt(sorted((tmp_path / "checkpoint").glob(f"*.{suffix}"))[-1], damage)
    notes: list[str] = []
    assert run(plan, tmp_path, resume=True, notes=notes) is not None
    assert_same_end(whole, tmp_path)
    said = "is damaged: going on from step 8" in "".join(notes)
    assert said == ((suffix, damage) != ("json", "missing"))


def hurt(path: Path, damage: str) -> None:
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-100])
    elif damage == "flipped":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        path.unlink()


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_run_without_a_whole_checkpoint_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, damage: str
) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=5)
    for path in (tmp_path / "checkpoint").iterdir():
        hurt(path, damage)
    said = {"cut": r"000003\.json.* damaged, and so is 000002", "missing": "is missing"}[damage]
    with pytest.raises(RunError, match=said):
        run(plan, tmp_path, resume=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    for family in ("bert", "llama"):
        run(small_plan(checkpoint(family)), tmp_path / family, stop_after=5)
    shutil.rmtree(tmp_path / "bert" / "checkpoint")
    for name in ("checkpoint", "metrics.jsonl"):
        (tmp_path / "llama" / name).rename(tmp_path / "bert" / name)
    with pytest.raises(PlanError, match="changes the model"):
        run(small_plan(checkpoint("bert")), tmp_path / "bert", resume=True)


def test_lost_metrics_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = small_plan(checkpoint("bert"))
    run(plan, tmp_path, stop_after=5)
    hurt(tmp_path / "metrics.jsonl", "cut")
    with pytest.raises(RunError, match=r"metrics\.jsonl has lost lines"):
        run(plan, tmp_path, resume=True)


def test_two_processes_can_not_share_a_folder(tmp_path: Path, checkpoint: Checkpoint) -> None:
    with held(tmp_path), pytest.raises(RunError, match="another flexp process runs in"):
        run(small_plan(checkpoint("bert")), tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_checkpoint_intact(
    small_disk: Path, checkpoint: Checkpoint, whole: Path
) -> None:
    plan, folder = small_plan(checkpoint("bert")), small_disk / "run"
    run(plan, folder, stop_after=4)
    before = {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()}
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))
    with pytest.raises(RunError, match=r"No space left.*the checkpoint after step 4 is intact"):
        run(plan, folder, resume=True)
    assert {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()} == before
    filler.unlink()
    assert run(plan, folder, resume=True) is not None
    assert_same_end(whole, folder)


def test_the_last_steps_are_not_repeated(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """Stopped while it measures the accuracy at the end, a run has all its steps behind it."""
    plan, total = small_plan(checkpoint("bert")), STEPS * len(CLIENTS)
    assert run(plan, tmp_path, stop_after=total) is None
    notes: list[str] = []
    assert run(plan, tmp_path, resume=True, stop_after=None, notes=notes) is not None
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == total
