"""Checkpoints: numbered pairs of files in a folder, NUMBER.safetensors and then NUMBER.json.

A checkpoint counts only once its JSON is there and names the SHA-256 of both, so that one
that was cut off at any moment is not taken for whole. The last two are kept, the rest goes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ..catalog.files import Contract, content_hash, read_contract, write_contract
from ..errors import FlexpError, RunError
from .state import RunState

KEPT = 2
"""The newest, and the one before it in case the newest is damaged."""
TENSORS, STATE = ".safetensors", ".json"


class Checkpoint(Contract):
    """What NUMBER.json holds."""

    tensors_sha256: str
    state_sha256: str
    state: RunState


@dataclass(frozen=True, kw_only=True)
class Found:
    """A checkpoint that is whole, and what was skipped to find it."""

    state: RunState
    file: Path
    damaged: tuple[Path, ...]

    def tensors(self) -> dict[str, Tensor]:
        return safetensors.torch.load_file(self.file)


def save(folder: Path, state: RunState, tensors: Mapping[str, Tensor]) -> None:
    """Add a checkpoint and drop all but the last KEPT.

    Raises OSError (a full disk, say) with the earlier checkpoints untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = max(_numbers(folder), default=0) + 1
    partial = folder / f"{number:06}.partial"
    try:
        _write_tensors(tensors, partial)
        checkpoint = Checkpoint(
            tensors_sha256=_sha256(partial), state_sha256=content_hash(state), state=state
        )
        partial.replace(_path(folder, number, TENSORS))
        write_contract(checkpoint, _path(folder, number, STATE))
    except OSError:
        for path in (partial, _path(folder, number, TENSORS)):
            path.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    prune(folder)


def newest(folder: Path) -> Found | None:
    """The newest checkpoint that is whole; None where there has never been one.

    Raises RunError where all are damaged.
    """
    damaged: list[Path] = []
    for number in sorted(_numbers(folder), reverse=True):
        path, file = _path(folder, number, STATE), _path(folder, number, TENSORS)
        state = _whole_state(path, file)
        if state is not None:
            return Found(state=state, file=file, damaged=tuple(damaged))
        damaged.append(path)
    if damaged:
        raise RunError(
            f"{damaged[0]}: the checkpoint is damaged"
            + (f", and so is {damaged[1].name} before it" if damaged[1:] else ""),
            "start again without --resume in a new folder",
        )
    return None


def prune(folder: Path) -> None:
    """Drop old checkpoints, and what a write that was cut off has left."""
    numbers = sorted(_numbers(folder))[-KEPT:]
    kept = {_path(folder, number, suffix) for number in numbers for suffix in (TENSORS, STATE)}
    for path in set(folder.iterdir()) - kept:
        path.unlink()


def discard(damaged: Iterable[Path]) -> None:
    """Drop damaged checkpoints, so that they don't count among those to keep."""
    for path in damaged:
        path.unlink(missing_ok=True)
        path.with_suffix(TENSORS).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Drop all checkpoints, if there are any."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` outlive a power cut, where the system lets folders be opened."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _numbers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob(f"[0-9]*{STATE}")]


def _path(folder: Path, number: int, suffix: str) -> Path:
    return folder / f"{number:06}{suffix}"


def _whole_state(path: Path, file: Path) -> RunState | None:
    try:
        checkpoint = read_contract(Checkpoint, path)
        promised = (checkpoint.tensors_sha256, checkpoint.state_sha256)
        whole = promised == (_sha256(file), content_hash(checkpoint.state))
    except (FlexpError, OSError):
        return None
    return checkpoint.state if whole else None


def _write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        safetensors.torch.save_file(dict(tensors), path)
    except SafetensorError as error:  # of the library's own, with the system's error in its text
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
