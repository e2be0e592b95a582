"""This process's resident memory."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil


def resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def peak_resident_bytes() -> int:
    """The highest resident memory of this program since it started."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    if sys.platform == "linux":  # ru_maxrss keeps the parent's peak across exec, VmHWM does not
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
