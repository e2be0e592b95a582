"""How many cores other programs keep busy while something is measured."""

from __future__ import annotations

import time

import psutil


class OtherWork:
    """Watches from construction. Inside a container the cores of the whole host count."""

    def __init__(self) -> None:
        self._start = _counters()

    def cores(self) -> float | None:
        """Cores that were busy with anything but this process, on average since the start; None
        within the first tenth of a second, which the system's counters can't resolve, and where
        programs may not read them (Android)."""
        end = _counters()
        if end is None or self._start is None:
            return None
        wall, idle, own = (now - then for now, then in zip(end, self._start, strict=True))
        if wall < 0.1:
            return None
        return max(0.0, (psutil.cpu_count() or 1) - (idle + own) / wall)


def _counters() -> tuple[float, float, float] | None:
    """Seconds: of the clock, of all cores idle, of this process on any core."""
    try:
        times = psutil.cpu_times()
    except OSError:
        return None
    idle = times.idle + getattr(times, "iowait", 0.0)
    return time.perf_counter(), idle, time.process_time()
