"""What this process may use of the machine: memory and CPU, with the limits of containers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import psutil

from ..catalog.units import format_bytes

CGROUP_ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 62
"""cgroup v1 writes "no limit" as the largest multiple of a page below 2^63."""


class UsableMemory(NamedTuple):
    ram_bytes: int
    """Physical memory, or the container's limit where that is lower."""
    usable_bytes: int
    """What is left of it for one more process: at most this may become resident."""
    reason: str
    """Which of the limits that is."""


class _Group(NamedTuple):
    """One cgroup directory of one version (2, or 1 with a controller each)."""

    version: int
    folder: Path


def usable_memory(cgroup_root: Path = CGROUP_ROOT, cgroup_text: str | None = None) -> UsableMemory:
    """The tightest of: memory available now, every enclosing cgroup's limit less what its
    processes hold, and the address-space limit (ulimit -v).

    `cgroup_text` is the content of /proc/self/cgroup (read where not given). Call it before the
    process itself takes much memory.
    """
    machine = psutil.virtual_memory()
    ram = machine.total
    bounds = [(machine.available, f"memory available now, of {format_bytes(ram)}")]
    for group in _groups("memory", cgroup_root, cgroup_text):
        for name, limit in _memory_limits(group):
            where = f"{name} of cgroup {_shown(group.folder, cgroup_root)}"
            left = max(limit - _held_bytes(group), 0)
            bounds.append((left, f"{where}: {format_bytes(limit)} less what it holds"))
            ram = min(ram, limit)
    address_space = _address_space_limit()
    if address_space is not None:
        bounds.append((address_space, "address-space limit (ulimit -v)"))
    usable, reason = min(bounds)
    return UsableMemory(ram, min(usable, ram), reason)


def usable_cores(cgroup_root: Path = CGROUP_ROOT, cgroup_text: str | None = None) -> float:
    """CPU cores that this process may keep busy: its affinity, or a cgroup's quota (which may be a
    fraction) where that is lower."""
    quotas = [
        quota
        for group in _groups("cpu", cgroup_root, cgroup_text)
        if (quota := _cpu_quota(group)) is not None
    ]
    return min([float(_affinity()), *quotas])


def _groups(controller: str, root: Path, text: str | None) -> Iterator[_Group]:
    """This process's cgroups that may limit `controller`, with all their ancestors.

    A path that a container can't see is followed as far as it exists: the container's own group is
    then the root of the mount.
    """
    if text is None:
        own = Path("/proc/self/cgroup")
        text = own.read_text(encoding="utf-8") if own.exists() else ""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root if (root / "cgroup.controllers").exists() else root / "unified"
            version = 2
        elif controller in controllers.split(","):
            base = root / controller if (root / controller).exists() else root / controllers
            version = 1
        else:
            continue
        folder = base
        for part in ("", *PurePosixPath(path).parts[1:]):
            folder = folder / part
            if part == ".." or not folder.is_dir():
                break
            yield _Group(version, folder)


def _memory_limits(group: _Group) -> Iterator[tuple[str, int]]:
    names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
    for name in names:
        limit = _number(group.folder / name)
        if limit is not None and limit < UNLIMITED:
            yield name, limit


def _held_bytes(group: _Group) -> int:
    """Memory that the group's processes hold, without file cache that the kernel can drop."""
    v2 = group.version == 2
    usage = _number(group.folder / ("memory.current" if v2 else "memory.usage_in_bytes")) or 0
    key = "inactive_file" if v2 else "total_inactive_file"
    for line in _text(group.folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return max(usage - int(value), 0)
    return usage


def _cpu_quota(group: _Group) -> float | None:
    if group.version == 2:
        quota, _, period = _text(group.folder / "cpu.max").strip().partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
    quota_us = _number(group.folder / "cpu.cfs_quota_us")
    period_us = _number(group.folder / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _affinity() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _address_space_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _shown(folder: Path, root: Path) -> str:
    path = folder.relative_to(root).as_posix()
    return "/" if path == "." else f"/{path}"


def _number(file: Path) -> int | None:
    """The number in `file`; None for "max", or if there is no such file."""
    text = _text(file).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
