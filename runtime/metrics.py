"""metrics.jsonl: one line per step, cut back to the checkpoint when a run is resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..errors import RunError
from .records import StepRecord


class MetricsLog:
    """Appends to the file at `path`, of which the first `keep_bytes` belong to the checkpoint.

    Raises RunError where the file has lost lines.
    """

    def __init__(self, path: Path, keep_bytes: int = 0) -> None:
        held = path.stat().st_size if path.exists() else 0
        if held < keep_bytes:
            raise RunError(
                f"{path} has lost lines: it holds {held} bytes, and {keep_bytes} at the checkpoint",
                "put the file back",
            )
        self.path = path
        self.file = path.open("ab")
        self.file.truncate(keep_bytes)

    def write(self, record: StepRecord) -> None:
        self.file.write(record.model_dump_json().encode() + b"\n")
        self.file.flush()

    def sync(self) -> int:
        """Make the lines outlive a power cut; the file's length in bytes."""
        os.fsync(self.file.fileno())
        return self.file.tell()

    def close(self) -> None:
        self.file.close()


def read_metrics(path: Path) -> list[StepRecord]:
    """The whole lines of `path`: the last of a killed run may be cut off."""
    return [
        StepRecord(**json.loads(line))
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
