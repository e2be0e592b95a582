"""Fake cgroup trees, and this machine's own limits for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from flexp.profiler import limits
from flexp.profiler.limits import usable_cores, usable_memory

GIB = 2**30
V1_UNLIMITED = "9223372036854771712"


@pytest.fixture(autouse=True)
def large_idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 GiB of RAM, 60 available, 16 cores, no ulimit."""

    class Memory:
        total = 64 * GIB
        available = 60 * GIB

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    monkeypatch.setattr(limits, "_affinity", lambda: 16)
    monkeypatch.setattr(limits, "_address_space_limit", lambda: None)


def tree(root: Path, files: Mapping[str, str | int]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")
    return root


V2 = {"cgroup.controllers": "cpu memory"}
MEMORY_CASES = {
    "no cgroups": ("", {}, 64 * GIB, 60 * GIB, "available now"),
    "v2, no limit": (
        "0::/app",
        {**V2, "app/memory.max": "max", "app/memory.high": "max"},
        64 * GIB,
        60 * GIB,
        "available now",
    ),
    "v2": (
        "0::/app",
        {**V2, "app/memory.max": 4 * GIB, "app/memory.current": GIB},
        4 * GIB,
        3 * GIB,
        "memory.max of cgroup /app",
    ),
    "v2, file cache can be dropped": (
        "0::/app",
        {
            **V2,
            "app/memory.max": 4 * GIB,
            "app/memory.current": 3 * GIB,
            "app/memory.stat": f"anon 5\ninactive_file {2 * GIB}\nactive_file 7",
        },
        4 * GIB,
        3 * GIB,
        "memory.max",
    ),
    "v2, an ancestor is tighter": (
        "0::/slice/pod/app",
        {
            **V2,
            "slice/memory.max": 8 * GIB,
            "slice/pod/memory.max": 2 * GIB,
            "slice/pod/app/memory.max": 6 * GIB,
        },
        2 * GIB,
        2 * GIB,
        "memory.max of cgroup /slice/pod",
    ),
    "v2, an ancestor is fuller": (
        "0::/pod/app",
        {
            **V2,
            "pod/memory.max": 8 * GIB,
            "pod/memory.current": 7 * GIB,
            "pod/app/memory.max": 4 * GIB,
        },
        4 * GIB,
        1 * GIB,
        "memory.max of cgroup /pod",
    ),
    "v2, memory.high throttles first": (
        "0::/app",
        {**V2, "app/memory.max": 4 * GIB, "app/memory.high": 3 * GIB},
        3 * GIB,
        3 * GIB,
        "memory.high",
    ),
    "v2, inside a container": (
        "0::/",
        {**V2, "memory.max": 5 * GIB},
        5 * GIB,
        5 * GIB,
        "memory.max of cgroup /",
    ),
    "v2, over its limit": (
        "0::/app",
        {**V2, "app/memory.max": 2 * GIB, "app/memory.current": 3 * GIB},
        2 * GIB,
        0,
        "memory.max",
    ),
    "v1": (
        "5:cpu,cpuacct:/app\n4:memory:/app",
        {
            "memory/memory.limit_in_bytes": V1_UNLIMITED,
            "memory/app/memory.limit_in_bytes": 4 * GIB,
            "memory/app/memory.usage_in_bytes": 2 * GIB,
            "memory/app/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB}",
        },
        4 * GIB,
        3 * GIB,
        "memory.limit_in_bytes of cgroup /memory/app",
    ),
    "v1, the host's path is not visible": (
        "4:memory:/docker/0123abcd",
        {"memory/memory.limit_in_bytes": 2 * GIB},
        2 * GIB,
        2 * GIB,
        "cgroup /memory",
    ),
    "v1, no limit": (
        "4:memory:/app",
        {"memory/app/memory.limit_in_bytes": V1_UNLIMITED},
        64 * GIB,
        60 * GIB,
        "available now",
    ),
    "hybrid: v1 limits memory, v2 only names": (
        "4:memory:/app\n1:name=systemd:/app\n0::/app",
        {
            "unified/app/cgroup.procs": "",
            "memory/app/memory.limit_in_bytes": 3 * GIB,
        },
        3 * GIB,
        3 * GIB,
        "cgroup /memory/app",
    ),
    "hybrid: v2 limits memory": (
        "1:name=systemd:/app\n0::/app",
        {"unified/app/memory.max": 3 * GIB},
        3 * GIB,
        3 * GIB,
        "cgroup /unified/app",
    ),
    "a path above the mount": (
        "0::/../../other",
        {**V2, "memory.max": 7 * GIB},
        7 * GIB,
        7 * GIB,
        "cgroup /",
    ),
    "a limit above the machine": (
        "0::/app",
        {**V2, "app/memory.max": 640 * GIB},
        64 * GIB,
        60 * GIB,
        "available now",
    ),
}


@pytest.mark.parametrize("case", MEMORY_CASES)
def test_memory(tmp_path: Path, case: str) -> None:
    text, files, ram, usable, reason = MEMORY_CASES[case]
    found = usable_memory(tree(tmp_path, files), text)
    assert (found.ram_bytes, found.usable_bytes) == (ram, usable)
    assert reason in found.reason


def test_the_address_space_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_address_space_limit", lambda: 2 * GIB)
    found = usable_memory(tmp_path, "")
    assert (found.ram_bytes, found.usable_bytes) == (64 * GIB, 2 * GIB)
    assert "ulimit -v" in found.reason


CPU_CASES = {
    "no cgroups": ("", {}, 16),
    "v2, no quota": ("0::/app", {**V2, "app/cpu.max": "max 100000"}, 16),
    "v2": ("0::/app", {**V2, "app/cpu.max": "250000 100000"}, 2.5),
    "v2, an ancestor is tighter": (
        "0::/pod/app",
        {**V2, "pod/cpu.max": "100000 100000", "pod/app/cpu.max": "400000 100000"},
        1,
    ),
    "v2, more than there is": ("0::/app", {**V2, "app/cpu.max": "9900000 100000"}, 16),
    "v1, no quota": (
        "3:cpu,cpuacct:/app",
        {"cpu/app/cpu.cfs_quota_us": -1, "cpu/app/cpu.cfs_period_us": 100000},
        16,
    ),
    "v1": (
        "3:cpu:/app",
        {"cpu/app/cpu.cfs_quota_us": 150000, "cpu/app/cpu.cfs_period_us": 100000},
        1.5,
    ),
    "v1, two controllers in one mount": (
        "3:cpu,cpuacct:/app",
        {
            "cpu,cpuacct/app/cpu.cfs_quota_us": 300000,
            "cpu,cpuacct/app/cpu.cfs_period_us": 100000,
        },
        3,
    ),
    "hybrid": (
        "3:cpu:/app\n0::/",
        {
            "unified/cgroup.procs": "",
            "cpu/app/cpu.cfs_quota_us": 400000,
            "cpu/app/cpu.cfs_period_us": 100000,
        },
        4,
    ),
}


@pytest.mark.parametrize("case", CPU_CASES)
def test_cores(tmp_path: Path, case: str) -> None:
    text, files, cores = CPU_CASES[case]
    assert usable_cores(tree(tmp_path, files), text) == cores


REPORT = (
    "from flexp.profiler.limits import usable_cores, usable_memory; "
    "m = usable_memory(); print(m.ram_bytes, m.usable_bytes, usable_cores(), m.reason, sep='|')"
)


def report(*prefix: str) -> list[str]:
    command = [*prefix, sys.executable, "-c", REPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip().split("|")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and cgroups")
def test_this_machine() -> None:
    ram, usable, cores, _ = report()
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < int(usable) <= int(ram) <= installed
    assert 0 < float(cores) <= (os.cpu_count() or 1)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_limits_that_were_set_on_a_process_are_reported() -> None:
    core = min(os.sched_getaffinity(0))
    _, usable, cores, reason = report(
        "prlimit", f"--as={400 * 2**20}", "taskset", "--cpu-list", str(core)
    )
    assert float(cores) == 1
    assert int(usable) == 400 * 2**20
    assert "ulimit -v" in reason


@contextmanager
def own_group(controller: str) -> Iterator[tuple[int, Path]]:
    """(version, folder) of a cgroup of this test's own, below the process's; it is gone afterwards.
    Skips where cgroups can't be made."""
    groups = [
        group
        for group in limits._groups(controller, limits.CGROUP_ROOT, None)
        if group.version == 1 or controller in limits._text(group.folder / "cgroup.subtree_control")
    ]
    if not groups:
        pytest.skip(f"no cgroup hands its {controller} on")
    version, parent = groups[-1]
    folder = parent / f"flexp-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("cgroups can't be made here")
    try:
        yield version, folder
    finally:
        folder.rmdir()


def report_from(folder: Path) -> list[str]:
    """The process puts itself into the group, then looks."""
    enter = f"open({str(folder / 'cgroup.procs')!r}, 'w').write('0'); "
    command = [sys.executable, "-c", enter + REPORT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "PermissionError" in done.stderr:
        pytest.skip("processes can't be moved here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


@pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
def test_a_real_cgroup_quota_is_reported() -> None:
    with own_group("cpu") as (version, folder):
        if version == 2:
            (folder / "cpu.max").write_text("50000 100000")
        else:
            (folder / "cpu.cfs_quota_us").write_text("50000")
        assert float(report_from(folder)[2]) == 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
def test_a_real_cgroup_memory_limit_is_reported() -> None:
    with own_group("memory") as (version, folder):
        file = folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")
        file.write_text(str(GIB))
        ram, usable, _, reason = report_from(folder)
    assert int(ram) == GIB
    assert 0.9 * GIB < int(usable) < GIB
    assert f"{file.name} of cgroup" in reason
    assert folder.name in reason
