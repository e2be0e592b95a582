"""How fast the disk with flexp's cache writes and reads a file from end to end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from pydantic import NonNegativeInt

from ..catalog.cache import cache_folder
from ..catalog.files import Contract
from ..catalog.units import format_bytes
from .spread import Spread

SAMPLES = 3
SAMPLE_SECONDS = 0.5
"""The file is sized to be written in about this time, within the two bounds below."""
LEAST_BYTES, MOST_BYTES = 4 << 20, 64 << 20
FREE_SHARE = 0.1
"""Of the free space, the file may take this share."""
CHUNK_BYTES = 1 << 20
F_NOCACHE = 48
"""fcntl(2) of macOS: do not keep this file in memory."""


class DiskReport(Contract):
    """Measured figures; None where a note says why."""

    folder: str
    free_bytes: NonNegativeInt | None
    file_bytes: NonNegativeInt
    """Size of the file that was written and read; 0: none was."""
    write_bytes_per_second: Spread | None
    """Until fsync has returned: the data has left this machine's memory."""
    read_bytes_per_second: Spread | None
    """After the system was asked to forget the file. A drive's own cache, or the host's under a
    virtual machine, may still hold it: this is then an upper bound."""
    notes: tuple[str, ...] = ()


def measure_disk(folder: Path | None = None) -> DiskReport:
    """Measure the disk that holds `folder` (the cache folder where none is given), with a file that
    has no name where the system can do that, so that it is gone however this ends."""
    wanted = folder or cache_folder()
    there = next(path for path in (wanted, *wanted.parents) if path.is_dir())
    free: int | None = None
    writes: list[float] = []
    reads: list[float] = []
    size, notes = 0, []
    try:
        free = shutil.disk_usage(there).free
        if free * FREE_SHARE < LEAST_BYTES:
            notes.append(f"its speed was not measured: {format_bytes(free)} are free")
        else:
            with tempfile.TemporaryFile(dir=there, prefix="flexp-probe-", buffering=0) as file:
                seconds = _write(file, LEAST_BYTES)
                affordable = LEAST_BYTES * SAMPLE_SECONDS / max(seconds, 1e-9)
                size = int(min(max(affordable, LEAST_BYTES), MOST_BYTES, free * FREE_SHARE))
                for _ in range(SAMPLES):
                    writes.append(size / _write(file, size))
                    if _forget(file):
                        reads.append(size / _read(file))
        if writes and not reads:
            notes.append("this system can't be asked to forget a file: its read rate is unknown")
    except OSError as error:
        notes.append(f"its speed could not be measured: {error.strerror or error}")
    return DiskReport(
        folder=str(there),
        free_bytes=free,
        file_bytes=size,
        write_bytes_per_second=Spread.of(writes),
        read_bytes_per_second=Spread.of(reads),
        notes=tuple(notes),
    )


def _write(file: BinaryIO, size: int) -> float:
    """Seconds to write `size` random bytes (which no file system can compress) through to disk."""
    chunk = memoryview(os.urandom(CHUNK_BYTES))
    file.truncate(0)
    file.seek(0)
    start = time.perf_counter()
    for done in range(0, size, CHUNK_BYTES):
        file.write(chunk[: size - done])
    os.fsync(file.fileno())
    return time.perf_counter() - start


def _forget(file: BinaryIO) -> bool:
    """Ask the system to drop the written file from its page cache; False where it can't."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file.fileno(), F_NOCACHE, 1)
        return True
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    return False


def _read(file: BinaryIO) -> float:
    file.seek(0)
    buffer = bytearray(CHUNK_BYTES)
    start = time.perf_counter()
    while file.readinto(buffer):  # type: ignore[attr-defined]
        pass
    return time.perf_counter() - start
